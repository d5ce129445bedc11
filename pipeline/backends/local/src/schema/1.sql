-- Times are milliseconds since 1970-01-01T00:00:00Z. Items are JSON, as `pipeline` writes them; the columns beside
-- them are copies for the indexes.

-- Messages, dead letters among them. AUTOINCREMENT, because a receipt names the message's id: an id that is used
-- again would let an old receipt speak for a new message.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    queue       TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    sent_at     INTEGER NOT NULL,
    visible_at  INTEGER NOT NULL,
    receives    INTEGER NOT NULL DEFAULT 0,
    state       INTEGER NOT NULL DEFAULT 0, -- 0 waits, 1 was delivered, 2 is dead
    reason      TEXT,
    dead_since  INTEGER
) STRICT;
CREATE INDEX message_alive ON message (queue, visible_at, state) WHERE state < 2;
CREATE INDEX message_dead ON message (queue, id) WHERE state = 2;

CREATE TABLE run (
    id          TEXT    NOT NULL PRIMARY KEY,
    pipeline    TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    next_check  INTEGER,
    item        BLOB    NOT NULL
) STRICT;
CREATE INDEX run_by_creation ON run (created_at, id);
CREATE INDEX run_by_pipeline ON run (pipeline, created_at, id);
CREATE INDEX run_by_status ON run (status, created_at, id);
CREATE INDEX run_to_check ON run (next_check, id) WHERE next_check IS NOT NULL;

CREATE TABLE branch (
    run      TEXT    NOT NULL,
    step     TEXT    NOT NULL,
    ordinal  INTEGER NOT NULL,
    item     BLOB    NOT NULL,
    PRIMARY KEY (run, step, ordinal)
) STRICT;

CREATE TABLE cache (
    key    TEXT NOT NULL PRIMARY KEY,
    entry  BLOB NOT NULL
) STRICT;

CREATE TABLE model_version (
    model          TEXT    NOT NULL,
    run            TEXT    NOT NULL,
    registered_at  INTEGER NOT NULL,
    entry          BLOB    NOT NULL,
    PRIMARY KEY (model, run)
) STRICT;

-- Every position that an alias had; the one of the highest revision is the present one. A roll back is a position
-- too, and `restores` says which earlier revision it brought back.
CREATE TABLE alias_position (
    model     TEXT    NOT NULL,
    alias     TEXT    NOT NULL,
    revision  INTEGER NOT NULL,
    restores  INTEGER,
    entry     BLOB    NOT NULL,
    PRIMARY KEY (model, alias, revision)
) STRICT;

CREATE TABLE worker (
    id          TEXT    NOT NULL PRIMARY KEY,
    expires_at  INTEGER NOT NULL,
    presence    BLOB    NOT NULL
) STRICT;

CREATE TABLE pause (
    stage  TEXT NOT NULL PRIMARY KEY,
    pause  BLOB NOT NULL
) STRICT;
