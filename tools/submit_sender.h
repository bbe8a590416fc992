/* submit_sender.h - what `millrace submit --rows` shares among its files: submit_rows.c
 * (the run), submit_open.c, submit_message.c (a row on its way) and submit_resume.c.
 *
 * Depends on: codec/job.h, tools/kafka_io.h, part_file.h, row_mapping.h.
 * Ownership: a struct sender owns what it has opened until submit_close.
 * Threads: the main thread. */
#ifndef MILLRACE_TOOLS_SUBMIT_SENDER_H
#define MILLRACE_TOOLS_SUBMIT_SENDER_H

#include "codec/framing.h"
#include "codec/job.h"
#include "tools/kafka_io.h"
#include "tools/part_file.h"
#include "tools/row_mapping.h"
#include "tools/submit.h"

#define SUBMIT_WAIT_MS 50

struct sender {
    const struct submit_options *options;
    struct rows_reader *reader;
    struct rows_chunk chunk;
    struct kafka_writer *writer;
    struct part_file progress;
    char identity[PART_FILE_IDENTITY_MAX];
    /* of jobs */
    struct model *model;
    struct row_mapping mapping;
    struct mapping_rows *mapping_rows;
    struct job job;
    struct rows_buffer tensors[JOB_INPUTS_MAX];
    /* of records */
    struct framing framing;
    struct rows_buffer message;
    int64_t row, bad, resumed; /* rows that were read; of them bad, or before this run */
    uint64_t offset;           /* of the file: all before it is sent, */
    int64_t behind;            /* and so many rows behind it */
    int64_t skip;              /* rows behind it that a run before has sent */
    int64_t started_us, saved_us;
    struct error *err;
};

/* Opens what the options name, and takes up what a run before has left. */
MUST_CHECK enum status submit_open(struct sender *s);
void submit_close(struct sender *s);
/* Has a signal asked to stop? */
MUST_CHECK bool submit_is_stopped(void);

/* Sends a row as a job or record, or counts it as bad. */
MUST_CHECK enum status submit_row(struct sender *s, struct rows_row *row);

MUST_CHECK enum status submit_take_up(struct sender *s);
/* Waits for what was sent, and notes how far it has come. */
MUST_CHECK enum status submit_save(struct sender *s);

#endif
