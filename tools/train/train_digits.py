"""digits: which digit is written in this 28x28 image?"""
from common import EPOCHS, SEED, fix_seeds, keras, np, publish
from keras import layers
from scipy.ndimage import shift, zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HELD_OUT = 320
SHIFTED_COPIES = 4


def load():
    """Images [n, 28, 28, 1] in 0..1, enlarged from scikit-learn's 8x8 scans."""
    digits = load_digits()
    images = [zoom(image / 16.0, 3.5, order=1) for image in digits.images]
    return np.clip(images, 0, 1).astype(np.float32)[..., None], digits.target


def augment(images, labels):
    """Copies moved by up to three pixels: the scans are all centred, users' are not."""
    moves = np.random.default_rng(SEED).integers(-3, 4, (SHIFTED_COPIES, len(images), 2))
    copies = [np.stack([shift(image, (*move, 0), order=0) for image, move in zip(images, round_)])
              for round_ in moves]
    return np.concatenate([images, *copies]), np.tile(labels, SHIFTED_COPIES + 1)


def build():
    return keras.Sequential([
        keras.Input((28, 28, 1), name="image"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])


def main():
    fix_seeds()
    # Split first: a shifted copy of a held-out image must not be trained on.
    train_x, test_x, train_y, test_y = train_test_split(
        *load(), test_size=HELD_OUT, random_state=SEED)
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*augment(train_x, train_y), epochs=EPOCHS, verbose=2)
    correct = model.predict(test_x, verbose=0).argmax(axis=1) == test_y
    publish("digits", model, test_x, test_y, range(10),
            {"held_out_rows": len(test_y), "keras_accuracy": round(float(correct.mean()), 4)})


if __name__ == "__main__":
    main()
