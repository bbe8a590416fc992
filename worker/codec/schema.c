/* schema.c - see schema.h. */
#include "codec/schema.h"

#include <assert.h>

#include "base/compiler.h"
#include "schemas.h" /* generated from the files in schemas/ */

#define CANONICAL_TENSORS                                                                \
    "{\"type\":\"array\",\"items\":{\"name\":\"millrace.Tensor\",\"type\":\"record\","   \
    "\"fields\":[{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"dtype\",\"type\":{" \
    "\"name\":\"millrace.DType\",\"type\":\"enum\",\"symbols\":[\"float32\","            \
    "\"float64\","                                                                       \
    "\"float16\",\"bfloat16\",\"int8\",\"int16\",\"int32\",\"int64\",\"uint8\","         \
    "\"uint16\",\"uint32\",\"uint64\",\"bool\",\"string\"]}},{\"name\":\"shape\","       \
    "\"type\":{\"type\":\"array\",\"items\":\"long\"}},{\"name\":\"data\",\"type\":["    \
    "\"bytes\",{\"type\":\"array\",\"items\":\"float\"},{\"type\":\"array\",\"items\":"  \
    "\"double\"},{\"type\":\"array\",\"items\":\"int\"},{\"type\":\"array\",\"items\":"  \
    "\"long\"},{\"type\":\"array\",\"items\":\"boolean\"},{\"type\":\"array\","          \
    "\"items\":\"string\"}]}]}}"

#define CANONICAL_JOB                                                                  \
    "{\"name\":\"millrace.InferenceJob\",\"type\":\"record\",\"fields\":[{\"name\":"   \
    "\"id\",\"type\":\"string\"},{\"name\":\"model\",\"type\":\"string\"},{\"name\":"  \
    "\"version\",\"type\":[\"null\",\"string\"]},{\"name\":\"deadline_ms\",\"type\":[" \
    "\"null\",\"long\"]},{\"name\":\"headers\",\"type\":{\"type\":\"map\",\"values\":" \
    "\"string\"}},{\"name\":\"inputs\",\"type\":" CANONICAL_TENSORS "}]}"

#define CANONICAL_RESULT                                                                \
    "{\"name\":\"millrace.InferenceResult\",\"type\":\"record\",\"fields\":[{\"name\":" \
    "\"id\",\"type\":\"string\"},{\"name\":\"model\",\"type\":\"string\"},{\"name\":"   \
    "\"version\",\"type\":[\"null\",\"string\"]},{\"name\":\"headers\",\"type\":{"      \
    "\"type\":\"map\",\"values\":\"string\"}},{\"name\":\"job_timestamp_ms\",\"type\":" \
    "\"long\"},{\"name\":\"batch_size\",\"type\":\"int\"},{\"name\":\"wait_us\","       \
    "\"type\":\"long\"},{\"name\":\"compute_us\",\"type\":\"long\"},{\"name\":"         \
    "\"outputs\",\"type\":" CANONICAL_TENSORS "},{\"name\":\"model_sha256\",\"type\":"  \
    "[\"null\",{\"name\":\"millrace.Sha256\",\"type\":\"fixed\",\"size\":32}]}]}"

static const struct schema schemas[] = {
    [SCHEMA_JOB] = {"inference_job",
                    {inference_job_avsc, sizeof(inference_job_avsc)},
                    CANONICAL_JOB,
                    SCHEMA_JOB_FINGERPRINT},
    [SCHEMA_RESULT] = {"inference_result",
                       {inference_result_avsc, sizeof(inference_result_avsc)},
                       CANONICAL_RESULT,
                       SCHEMA_RESULT_FINGERPRINT},
};
_Static_assert(ARRAY_COUNT(schemas) == SCHEMA_COUNT, "every schema is listed");

const struct schema *schema_get(enum schema_id id) {
    assert((unsigned)id < SCHEMA_COUNT);
    return &schemas[id];
}
