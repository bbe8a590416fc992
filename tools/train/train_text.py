"""text: does this passage of a manual explain a tool to its user (sections 1, 5 and 8),
or a function to a programmer (sections 2 and 3)?"""
import re
from collections import Counter

import manpages
from common import EPOCHS, ROOT, SEED, fix_seeds, keras, np, publish
from keras import layers

LENGTH = 80
WORDS = 5000          # vocabulary, with the two below
PADDING, UNKNOWN = 0, 1
PASSAGES_PER_PAGE = 25  # or a few shells' huge pages would be most of the data
HELD_OUT_PERCENT = 20
HELD_OUT_PER_CLASS = 600


def passages(page):
    """The page's words in runs of LENGTH, at most PASSAGES_PER_PAGE; a short rest is dropped."""
    text = " ".join(word for line in page.lines for word, _ in line).lower()
    words = re.findall(r"[a-z]+", text)
    runs = [words[i:i + LENGTH] for i in range(0, len(words), LENGTH)]
    return [run for run in runs if len(run) >= LENGTH // 2][:PASSAGES_PER_PAGE]


def load():
    """(passages, labels) for training and for the test, split by page, classes of equal size."""
    sets = {False: ([], []), True: ([], [])}
    for page in manpages.pages():
        is_programming = page.section in (2, 3)
        held_out = page.bucket() < HELD_OUT_PERCENT
        sets[held_out][is_programming].extend(passages(page))
    return balanced(sets[False], None), balanced(sets[True], HELD_OUT_PER_CLASS)


def balanced(classes, limit):
    random = np.random.default_rng(SEED)
    count = min(len(c) for c in classes)
    count = min(count, limit or count)
    chosen = [(c[i], label) for label, c in enumerate(classes)
              for i in random.permutation(len(c))[:count]]
    order = random.permutation(len(chosen))
    return [chosen[i][0] for i in order], np.array([chosen[i][1] for i in order])


def choose_vocabulary(texts):
    counts = Counter(word for text in texts for word in text)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ["[padding]", "[unknown]"] + ranked[:WORDS - 2]


def encode(texts, vocabulary):
    """Ids [n, LENGTH]; padding comes first, so that the LSTM ends on the last word."""
    ids = {word: i for i, word in enumerate(vocabulary)}
    rows = np.full((len(texts), LENGTH), PADDING, np.int32)
    for row, text in zip(rows, texts):
        row[LENGTH - len(text):] = [ids.get(word, UNKNOWN) for word in text]
    return rows


def build():
    return keras.Sequential([
        keras.Input((LENGTH,), dtype="int32", name="tokens"),
        layers.Embedding(WORDS, 48),
        layers.LSTM(128, return_sequences=True),
        layers.LSTM(128),
        layers.Dense(1, activation="sigmoid"),
    ])


def main():
    fix_seeds()
    (train_texts, train_y), (test_texts, test_y) = load()
    vocabulary = choose_vocabulary(train_texts)
    train_x, test_x = encode(train_texts, vocabulary), encode(test_texts, vocabulary)
    print(f"text: {len(train_y)} passages to train on, {len(test_y)} held out")
    model = build()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(train_x, train_y, epochs=EPOCHS, batch_size=32, verbose=2)
    correct = (model.predict(test_x, verbose=0)[:, 0] > 0.5) == test_y
    publish("text", model, test_x, test_y, ["user", "programmer"],
            {"held_out_rows": len(test_y), "keras_accuracy": round(float(correct.mean()), 4)})
    (ROOT / "conf/models/text/vocabulary.txt").write_text("\n".join(vocabulary) + "\n")


if __name__ == "__main__":
    main()
