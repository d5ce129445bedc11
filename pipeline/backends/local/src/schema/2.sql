-- Named pipelines, and the places that runs of them take.
CREATE TABLE pipeline (
    name TEXT PRIMARY KEY,
    entry BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE place (
    pipeline TEXT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (pipeline, run)
) STRICT, WITHOUT ROWID;
