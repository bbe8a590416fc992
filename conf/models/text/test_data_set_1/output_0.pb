B
Identity:0J ÜF<