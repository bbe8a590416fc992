"""Vision models of the suite: Keras's own applications, and layers that those leave out."""

import keras
from keras import layers

from keras_sequence import Positions

# Without VGG16, whose export takes more than 20 GB of memory, and ConvNeXt, whose grouped
# convolutions tf2onnx cannot convert.
APPLICATIONS = (
    "ResNet50",
    "MobileNetV2",
    "MobileNetV3Small",
    "DenseNet121",
    "InceptionV3",
    "NASNetMobile",
    "EfficientNetB0",
    "Xception",
)


SIDES = {"InceptionV3": 299, "Xception": 299}


def application(name):
    shape = (SIDES.get(name, 224), SIDES.get(name, 224), 3)
    return lambda: getattr(keras.applications, name)(weights=None, input_shape=shape)


def unet():
    """Down by pooling, up by nearest and by bilinear resizing, with skips between."""
    x = image = keras.Input((64, 96, 3))
    skips = []
    for width in (16, 32):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    for width, interpolation in ((32, "nearest"), (16, "bilinear")):
        x = layers.UpSampling2D(2, interpolation=interpolation)(x)
        x = layers.Concatenate()([x, skips.pop()])
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(x))


def autoencoder():
    """Strided convolutions, and transposed ones back."""
    x = image = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="leaky_relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(16)(x)
    x = layers.Dense(7 * 7 * 32, activation="relu")(x)
    x = layers.Reshape((7, 7, 32))(x)
    x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="elu")(x)
    x = layers.Conv2DTranspose(16, 4, strides=2, padding="same", activation="selu")(x)
    return keras.Model(image, layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(x))


def group_norm():
    """Group, unit and RMS normalisation, cropping and padding, unusual activations."""
    x = image = keras.Input((40, 40, 8))
    x = layers.ZeroPadding2D(((1, 2), (3, 0)))(x)
    x = layers.Conv2D(32, 5, strides=2)(x)
    x = layers.GroupNormalization(groups=8)(x)
    x = layers.Activation("silu")(x)
    x = layers.Conv2D(32, 3, padding="same")(x)
    x = layers.GroupNormalization(groups=-1)(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.Cropping2D(((1, 0), (0, 2)))(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="mish")(x)
    x = layers.SeparableConv2D(48, 3, dilation_rate=2, activation="hard_silu")(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    x = layers.RMSNormalization()(x)
    a = layers.GlobalAveragePooling2D()(x)
    b = layers.GlobalMaxPooling2D(keepdims=False)(x)
    x = layers.UnitNormalization()(layers.Concatenate()([a, b]))
    return keras.Model(image, layers.Dense(10, activation="log_softmax")(x))


def vision_transformer():
    """Patches by a convolution, a class token, two encoder blocks."""
    image = keras.Input((48, 48, 3))
    x = layers.Conv2D(64, 8, strides=8)(image)
    x = layers.Reshape((36, 64))(x)
    x = Positions()(x)
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 16)(y, y)])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(128, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(64)(y)])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Lambda(lambda t: t[:, 0], output_shape=(64,))(x)
    return keras.Model(image, layers.Dense(10)(x))


def volumes():
    """Convolution and pooling in three dimensions."""
    x = volume = keras.Input((12, 16, 20, 2))
    x = layers.Conv3D(8, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling3D(2)(x)
    x = layers.Conv3D(16, (3, 3, 1), activation="tanh")(x)
    x = layers.UpSampling3D((1, 2, 1))(x)
    x = layers.Conv3DTranspose(4, 2, strides=2)(x)
    x = layers.AveragePooling3D(2)(x)
    x = layers.GlobalAveragePooling3D()(x)
    return keras.Model(volume, layers.Dense(3, activation="softmax")(x))


def clip_frames():
    """A small network on each frame, then a recurrent layer over them."""
    x = clip = keras.Input((6, 32, 32, 3))
    frame = keras.Sequential(
        [
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    x = layers.TimeDistributed(frame)(x)
    x = layers.LSTM(32)(x)
    return keras.Model(clip, layers.Dense(5, activation="softmax")(x))


def conv_lstm():
    """Recurrent convolution."""
    x = clip = keras.Input((5, 16, 16, 2))
    x = layers.ConvLSTM2D(8, 3, padding="same", return_sequences=True)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ConvLSTM2D(4, 3, padding="same")(x)
    return keras.Model(clip, layers.Conv2D(1, 1, activation="sigmoid")(x))


MODELS = {f"keras_{name.lower()}": application(name) for name in APPLICATIONS} | {
    "keras_unet": unet,
    "keras_autoencoder": autoencoder,
    "keras_group_norm": group_norm,
    "keras_vit": vision_transformer,
    "keras_volumes": volumes,
    "keras_frames": clip_frames,
    "keras_conv_lstm": conv_lstm,
}
