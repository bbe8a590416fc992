/* words.h - texts that mean something in an ONNX model, for the fuzzer to put anywhere.
 *
 * Operators' and attributes' names come with the corpus. */
#ifndef MILLRACE_TESTS_FUZZ_WORDS_H
#define MILLRACE_TESTS_FUZZ_WORDS_H

static const char *const model_words[] = {
    /* where data lies, and which part of it: the files are folder.h's */
    "location", "offset", "length", "checksum", "data", "below/data", "./data",
    "below/../data", "link", "empty", "../outside", "below/../../outside", "link_out",
    "link_far", "link_up/outside", "link_up/models/data", "fifo", "zero", "below", ".",
    "..", "/dev/zero", "/proc/self/mem", "model.onnx", "missing", "0", "1", "4", "8",
    "12", "16", "64", "4092", "4096", "4097", "4294967296", "9223372036854775807",
    "18446744073709551615", "-1", " 4", "0x4",
    /* names, domains, texts of attributes */
    "", "x", "y", "z", "w", "x_0", "ai.onnx", "ai.onnx.ml", "com.microsoft", "axis",
    "axes", "to", "body", "then_branch", "else_branch", "value", "SAME_UPPER", "VALID",
    "reflect", "edge", "linear", "cubic", "LSTM", "Relu", "add", "mul", "max"};

#endif
