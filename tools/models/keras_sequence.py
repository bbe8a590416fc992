"""Models of the suite over text, series and tables, in Keras."""

import keras
from keras import layers, ops

WORDS, LENGTH = 2000, 48


def tokens(length=LENGTH):
    return keras.Input((length,), dtype="int32", name="tokens")


def classified(inputs, x):
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def bidirectional(layer, mask, depth=1):
    def build():
        inputs = tokens()
        x = layers.Embedding(WORDS, 64, mask_zero=mask)(inputs)
        for _ in range(depth - 1):
            x = layers.Bidirectional(layer(48, return_sequences=True))(x)
        return classified(inputs, layers.Bidirectional(layer(48))(x))

    return build


def tagger():
    """One answer a word, through a masked stack."""
    inputs = tokens()
    x = layers.Embedding(WORDS, 32, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.GRU(32, return_sequences=True), merge_mode="sum")(x)
    x = layers.LSTM(32, return_sequences=True)(x)
    return keras.Model(inputs, layers.TimeDistributed(layers.Dense(7, activation="softmax"))(x))


def gru_series():
    """Numbers over a free time; the older form of GRU."""
    series = keras.Input((None, 6))
    x = layers.GRU(40, return_sequences=True, reset_after=False)(series)
    x = layers.SimpleRNN(24, return_sequences=True)(x)
    x = layers.GRU(16, go_backwards=True)(x)
    return keras.Model(series, layers.Dense(1)(x))


def translator():
    """An encoder whose states start a decoder, which attends to it."""
    source, target = keras.Input((20,), dtype="int32", name="source"), tokens(12)
    x = layers.Embedding(WORDS, 32)(source)
    encoded, h, c = layers.LSTM(40, return_sequences=True, return_state=True)(x)
    y = layers.Embedding(WORDS, 32)(target)
    y = layers.LSTM(40, return_sequences=True)(y, initial_state=[h, c])
    attended = layers.Attention()([y, encoded])
    y = layers.Concatenate()([y, attended, layers.AdditiveAttention()([y, encoded])])
    return keras.Model([source, target], layers.Dense(50, activation="softmax")(y))


class Positions(layers.Layer):
    """Adds what has been learnt of each place; a mask goes through."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="uniform", name="table")

    def call(self, x):
        return x + self.table

    def compute_mask(self, x, mask=None):
        return mask


def encoder(mask):
    """A transformer's encoder; a mask keeps padding out of the attention."""

    def build():
        inputs = tokens()
        x = layers.Embedding(WORDS, 64, mask_zero=mask)(inputs)
        x = Positions()(x)
        for _ in range(2):
            y = layers.MultiHeadAttention(num_heads=4, key_dim=16)(x, x)
            x = layers.LayerNormalization(epsilon=1e-6)(x + y)
            y = layers.Dense(128, activation="relu")(x)
            x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dense(64)(y))
        return classified(inputs, layers.GlobalAveragePooling1D()(x))

    return build


def decoder():
    """A transformer's decoder: causal, grouped queries, tanh gelu."""
    inputs = tokens()
    x = layers.Embedding(WORDS, 64)(inputs)
    for _ in range(2):
        y = layers.RMSNormalization()(x)
        y = layers.GroupQueryAttention(16, 4, 2)(y, y, use_causal_mask=True)
        x = x + y
        y = layers.LayerNormalization()(x)
        y = layers.Dense(128)(y)
        x = x + layers.Dense(64)(ops.gelu(y, approximate=True))
    return keras.Model(inputs, layers.Dense(100)(x))


def text_cnn():
    """Windows of three widths, the largest of each."""
    inputs = tokens(100)
    x = layers.Embedding(WORDS, 64)(inputs)
    parts = [
        layers.GlobalMaxPooling1D()(layers.Conv1D(64, width, activation="relu")(x))
        for width in (3, 4, 5)
    ]
    return classified(inputs, layers.Dropout(0.5)(layers.Concatenate()(parts)))


def separable_text():
    inputs = tokens(120)
    x = layers.Embedding(WORDS, 32)(inputs)
    for width in (64, 96):
        x = layers.SeparableConv1D(width, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling1D(2)(x)
    x = layers.DepthwiseConv1D(3, padding="same")(x)
    x = layers.AveragePooling1D(2)(x)
    x = layers.SpatialDropout1D(0.2)(x)
    return classified(inputs, layers.GlobalAveragePooling1D()(x))


def wavenet():
    """Causal, dilated convolutions with gates and skips."""
    x = series = keras.Input((128, 1))
    x = layers.Conv1D(24, 2, padding="causal")(x)
    skips = []
    for dilation in (1, 2, 4, 8):
        gate = layers.Conv1D(24, 2, padding="causal", dilation_rate=dilation, activation="sigmoid")(x)
        y = layers.Conv1D(24, 2, padding="causal", dilation_rate=dilation, activation="tanh")(x)
        y = layers.Conv1D(24, 1)(layers.Multiply()([gate, y]))
        skips.append(y)
        x = layers.Add()([x, y])
    x = layers.ReLU()(layers.Add()(skips))
    x = layers.Conv1DTranspose(8, 4, strides=2, padding="same")(x)
    return keras.Model(series, layers.Conv1D(1, 1)(x))


def table():
    """Numbers and categories side by side; several outputs, every activation."""
    numbers = keras.Input((20,), name="numbers")
    category = keras.Input((3,), dtype="int32", name="category")
    x = layers.Normalization(mean=[0.5] * 20, variance=[0.1] * 20)(numbers)
    y = layers.Flatten()(layers.Embedding(50, 8)(category))
    x = layers.Concatenate()([x, y, layers.CategoryEncoding(50, "multi_hot")(category)])
    for name in ("softplus", "softsign", "exponential", "hard_sigmoid", "relu6", "gelu",
                 "selu", "elu", "swish", "tanh", "log_sigmoid", "hard_tanh", "squareplus"):
        x = layers.Dense(24, activation=name)(x)
        x = layers.BatchNormalization()(x)
    x = layers.Maximum()([x, layers.Dense(24)(x)])
    x = layers.Dense(16)(layers.Dot(axes=1, normalize=True)([x, x]))
    return keras.Model(
        [numbers, category],
        [layers.Dense(1, activation="sigmoid", name="risk")(x), layers.Dense(5, name="kind")(x)],
    )


def arithmetic():
    """What models do between their layers: einsum, where, top_k, cumsum, clip, one_hot."""
    series = keras.Input((16, 8))
    x = ops.einsum("bij,bkj->bik", series, series)
    x = ops.where(x > 1.0, x, ops.square(x))
    x = x / (ops.std(x, axis=-1, keepdims=True) + 1e-3)
    best, place = ops.top_k(x, 4)
    y = ops.cumsum(ops.flip(x, axis=-1), axis=1)
    y = ops.concatenate([y, best, ops.one_hot(place[..., 0], 16)], axis=-1)
    y = ops.clip(ops.log(1.0 + ops.abs(y)), 0.1, 2.0) - ops.logsumexp(y, axis=-1, keepdims=True)
    y = layers.Permute((2, 1))(ops.roll(y, 2, axis=1))
    z = layers.RepeatVector(3)(ops.max(y, axis=1)) * ops.expand_dims(ops.min(y, axis=-1)[:, :3], -1)
    return keras.Model(series, [y, z, place])


MODELS = {
    "keras_bigru_mask": bidirectional(layers.GRU, mask=True),
    "keras_bilstm_mask": bidirectional(layers.LSTM, mask=True, depth=2),
    "keras_bigru": bidirectional(layers.GRU, mask=False, depth=2),
    "keras_bilstm": bidirectional(layers.LSTM, mask=False, depth=2),
    "keras_tagger": tagger,
    "keras_gru_series": gru_series,
    "keras_translator": translator,
    "keras_encoder": encoder(mask=False),
    "keras_encoder_mask": encoder(mask=True),
    "keras_decoder": decoder,
    "keras_text_cnn": text_cnn,
    "keras_separable": separable_text,
    "keras_wavenet": wavenet,
    "keras_table": table,
    "keras_arithmetic": arithmetic,
}
