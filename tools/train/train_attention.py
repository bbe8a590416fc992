"""attention: which words of this sentence are set apart (bold or italic) in a manual,
because they name an option, a command, a file, a function or a value to fill in?"""
import zlib

import manpages
from common import EPOCHS, SEED, fix_seeds, keras, np, publish
from keras import layers

LENGTH = 24
FEATURES = 128
NEIGHBOUR_FEATURES = 32  # of the 128, for the word before and again for the word after
SCALE = 3.0              # the attention compares by dot product; unit vectors are too alike
WORDS_MIN = 8
MARKED_MIN = 2           # a sentence with no markup is often one the author forgot
IGNORED = -1             # the label of padding
HELD_OUT_PERCENT = 20
SAMPLES = 64             # rows kept in tests/data; 12 kB each


def windows():
    """(words, marks, is held out) for each stretch of at most LENGTH words with markup."""
    for page in manpages.pages():
        held_out = page.bucket() < HELD_OUT_PERCENT
        for line in page.lines:
            for start in range(0, len(line), LENGTH):
                words, marks = zip(*line[start:start + LENGTH])
                if len(words) >= WORDS_MIN and sum(marks) >= MARKED_MIN:
                    yield words, marks, held_out


def hashed(word, size):
    """The word's letters as a vector: its 1- to 4-grams, each added to one place, up or down.

    CRC-32 decides where, so that any program can compute the same features."""
    vector = np.zeros(size, np.float32)
    text = f"<{word}>"
    for length in range(1, 5):
        for start in range(len(text) - length + 1):
            code = zlib.crc32(text[start:start + length].encode())
            vector[code % size] += 1 if code >> 31 else -1
    return vector / max(np.linalg.norm(vector), 1e-6)


def features(words):
    """[LENGTH, FEATURES]: the word itself and, as attention knows no order, its neighbours."""
    rows = np.zeros((LENGTH, FEATURES), np.float32)
    own = FEATURES - 2 * NEIGHBOUR_FEATURES
    padded = ("", *words, "")
    for row, before, word, after in zip(rows, padded, words, padded[2:]):
        row[:] = np.concatenate([hashed(word, own), hashed(before, NEIGHBOUR_FEATURES),
                                 hashed(after, NEIGHBOUR_FEATURES)])
    return rows * SCALE


def load():
    """Features and labels, first for training and then held out; split by page."""
    sets = {False: ([], []), True: ([], [])}
    for words, marks, held_out in windows():
        sets[held_out][0].append(features(words))
        sets[held_out][1].append(np.pad(np.array(marks, np.int64), (0, LENGTH - len(marks)),
                                        constant_values=IGNORED))
    return [(np.stack(x), np.stack(y)) for x, y in (sets[False], sets[True])]


def build():
    steps = keras.Input((LENGTH, FEATURES), name="steps")
    x = layers.Dense(128, activation="relu")(steps)
    x = layers.Attention()([steps, x])
    return keras.Model(steps, layers.Dense(1, activation="sigmoid")(x))


def score(predictions, labels):
    counted = labels != IGNORED
    guess, truth = predictions[..., 0][counted] > 0.5, labels[counted] == 1
    hits = (guess & truth).sum()
    return {"held_out_rows": len(labels), "held_out_steps": int(counted.sum()),
            "keras_accuracy": round(float((guess == truth).mean()), 4),
            "accuracy_of_always_no": round(float((~truth).mean()), 4),
            "precision": round(float(hits / max(guess.sum(), 1)), 4),
            "recall": round(float(hits / truth.sum()), 4)}


def main():
    fix_seeds()
    (train_x, train_y), (test_x, test_y) = load()
    print(f"attention: {len(train_y)} windows to train on, {len(test_y)} held out")
    model = build()
    model.compile("adam", "binary_crossentropy", weighted_metrics=["accuracy"])
    model.fit(train_x, np.maximum(train_y, 0)[..., None], epochs=EPOCHS, batch_size=16, verbose=2,
              sample_weight=(train_y != IGNORED).astype(np.float32))
    accuracy = score(model.predict(test_x, verbose=0), test_y)
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(test_y))[:SAMPLES])
    sample = score(model.predict(test_x[chosen], verbose=0), test_y[chosen])
    accuracy["sample_rows"] = SAMPLES
    accuracy["sample_keras_accuracy"] = sample["keras_accuracy"]
    publish("attention", model, test_x[chosen], test_y[chosen], ["plain", "marked"], accuracy)


if __name__ == "__main__":
    main()
