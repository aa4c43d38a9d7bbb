SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA tidegate;
SET default_tablespace = '';
CREATE TABLE tidegate.attempts (
    "offset" bigint NOT NULL,
    destination integer NOT NULL,
    number integer NOT NULL,
    outcome smallint NOT NULL,
    started_at bigint NOT NULL,
    duration bigint NOT NULL,
    status integer,
    error text NOT NULL COLLATE pg_catalog."C",
    answer_headers bytea NOT NULL,
    answer_body bytea NOT NULL,
    answer_bytes bigint NOT NULL,
    url text NOT NULL COLLATE pg_catalog."C",
    manual boolean NOT NULL,
    CONSTRAINT attempts_number_check CHECK ((number > 0))
)
PARTITION BY RANGE ("offset");
SET default_table_access_method = heap;
CREATE TABLE tidegate.attempts_0 (
    "offset" bigint CONSTRAINT attempts_offset_not_null NOT NULL,
    destination integer CONSTRAINT attempts_destination_not_null NOT NULL,
    number integer CONSTRAINT attempts_number_not_null NOT NULL,
    outcome smallint CONSTRAINT attempts_outcome_not_null NOT NULL,
    started_at bigint CONSTRAINT attempts_started_at_not_null NOT NULL,
    duration bigint CONSTRAINT attempts_duration_not_null NOT NULL,
    status integer,
    error text CONSTRAINT attempts_error_not_null NOT NULL COLLATE pg_catalog."C",
    answer_headers bytea CONSTRAINT attempts_answer_headers_not_null NOT NULL,
    answer_body bytea CONSTRAINT attempts_answer_body_not_null NOT NULL,
    answer_bytes bigint CONSTRAINT attempts_answer_bytes_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL COLLATE pg_catalog."C",
    manual boolean CONSTRAINT attempts_manual_not_null NOT NULL,
    CONSTRAINT attempts_number_check CHECK ((number > 0))
);
CREATE TABLE tidegate.attempts_1 (
    "offset" bigint CONSTRAINT attempts_offset_not_null NOT NULL,
    destination integer CONSTRAINT attempts_destination_not_null NOT NULL,
    number integer CONSTRAINT attempts_number_not_null NOT NULL,
    outcome smallint CONSTRAINT attempts_outcome_not_null NOT NULL,
    started_at bigint CONSTRAINT attempts_started_at_not_null NOT NULL,
    duration bigint CONSTRAINT attempts_duration_not_null NOT NULL,
    status integer,
    error text CONSTRAINT attempts_error_not_null NOT NULL COLLATE pg_catalog."C",
    answer_headers bytea CONSTRAINT attempts_answer_headers_not_null NOT NULL,
    answer_body bytea CONSTRAINT attempts_answer_body_not_null NOT NULL,
    answer_bytes bigint CONSTRAINT attempts_answer_bytes_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL COLLATE pg_catalog."C",
    manual boolean CONSTRAINT attempts_manual_not_null NOT NULL,
    CONSTRAINT attempts_number_check CHECK ((number > 0))
);
CREATE TABLE tidegate.audiences (
    number integer NOT NULL,
    digest bytea NOT NULL,
    source text NOT NULL COLLATE pg_catalog."C",
    considered text NOT NULL COLLATE pg_catalog."C",
    wanted text NOT NULL COLLATE pg_catalog."C",
    filtered text NOT NULL COLLATE pg_catalog."C",
    events bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.0', autovacuum_vacuum_threshold='1000');
ALTER TABLE tidegate.audiences ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tidegate.audiences_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE tidegate.dedupe (
    key bytea NOT NULL,
    "offset" bigint NOT NULL,
    body_hash bytea NOT NULL,
    seen_at bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.05');
CREATE SEQUENCE tidegate.event_offset
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE tidegate.events (
    "offset" bigint NOT NULL,
    audience integer NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    key text COLLATE pg_catalog."C",
    origin smallint NOT NULL,
    received_at bigint NOT NULL,
    occurred_at bigint,
    hops smallint NOT NULL,
    differs boolean DEFAULT false NOT NULL,
    data_path text NOT NULL COLLATE pg_catalog."C",
    content_type text NOT NULL COLLATE pg_catalog."C",
    headers bytea NOT NULL,
    change bytea NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT events_origin_check CHECK (((origin >= 0) AND (origin <= 6)))
)
PARTITION BY RANGE ("offset");
CREATE TABLE tidegate.events_0 (
    "offset" bigint CONSTRAINT events_offset_not_null NOT NULL,
    audience integer CONSTRAINT events_audience_not_null NOT NULL,
    type text CONSTRAINT events_type_not_null NOT NULL COLLATE pg_catalog."C",
    key text COLLATE pg_catalog."C",
    origin smallint CONSTRAINT events_origin_not_null NOT NULL,
    received_at bigint CONSTRAINT events_received_at_not_null NOT NULL,
    occurred_at bigint,
    hops smallint CONSTRAINT events_hops_not_null NOT NULL,
    differs boolean DEFAULT false CONSTRAINT events_differs_not_null NOT NULL,
    data_path text CONSTRAINT events_data_path_not_null NOT NULL COLLATE pg_catalog."C",
    content_type text CONSTRAINT events_content_type_not_null NOT NULL COLLATE pg_catalog."C",
    headers bytea CONSTRAINT events_headers_not_null NOT NULL,
    change bytea CONSTRAINT events_change_not_null NOT NULL,
    body bytea CONSTRAINT events_body_not_null NOT NULL,
    CONSTRAINT events_origin_check CHECK (((origin >= 0) AND (origin <= 6)))
);
CREATE TABLE tidegate.events_1 (
    "offset" bigint CONSTRAINT events_offset_not_null NOT NULL,
    audience integer CONSTRAINT events_audience_not_null NOT NULL,
    type text CONSTRAINT events_type_not_null NOT NULL COLLATE pg_catalog."C",
    key text COLLATE pg_catalog."C",
    origin smallint CONSTRAINT events_origin_not_null NOT NULL,
    received_at bigint CONSTRAINT events_received_at_not_null NOT NULL,
    occurred_at bigint,
    hops smallint CONSTRAINT events_hops_not_null NOT NULL,
    differs boolean DEFAULT false CONSTRAINT events_differs_not_null NOT NULL,
    data_path text CONSTRAINT events_data_path_not_null NOT NULL COLLATE pg_catalog."C",
    content_type text CONSTRAINT events_content_type_not_null NOT NULL COLLATE pg_catalog."C",
    headers bytea CONSTRAINT events_headers_not_null NOT NULL,
    change bytea CONSTRAINT events_change_not_null NOT NULL,
    body bytea CONSTRAINT events_body_not_null NOT NULL,
    CONSTRAINT events_origin_check CHECK (((origin >= 0) AND (origin <= 6)))
);
CREATE TABLE tidegate.exceptions (
    destination integer NOT NULL,
    "offset" bigint NOT NULL,
    state smallint NOT NULL,
    due_at bigint NOT NULL,
    attempts integer NOT NULL,
    cause text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    tries_left_from integer NOT NULL,
    route integer NOT NULL,
    replay text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT exceptions_state_check CHECK (((state >= 0) AND (state <= 3)))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000');
CREATE TABLE tidegate.feeds (
    name text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    updated_at bigint NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE tidegate.items (
    number integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    body bytea NOT NULL,
    place integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    paused_at bigint,
    pause_reason text NOT NULL COLLATE pg_catalog."C",
    deleted_at bigint,
    CONSTRAINT items_kind_check CHECK ((kind = ANY (ARRAY['source'::text, 'destination'::text, 'route'::text]))),
    CONSTRAINT items_owner_check CHECK ((owner = ANY (ARRAY['file'::text, 'api'::text])))
);
ALTER TABLE tidegate.items ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tidegate.items_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE tidegate.keys (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    scopes text NOT NULL COLLATE pg_catalog."C",
    sources text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    expires_at bigint
);
CREATE TABLE tidegate.lanes (
    destination integer NOT NULL,
    "position" bigint,
    ahead bytea NOT NULL,
    delivered bigint NOT NULL,
    exhausted bigint NOT NULL,
    cancelled bigint NOT NULL,
    adopted bigint NOT NULL,
    adopted_filtered bigint NOT NULL,
    fence bigint NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000');
CREATE TABLE tidegate.log_state (
    one boolean DEFAULT true NOT NULL,
    floor bigint DEFAULT 0 NOT NULL,
    CONSTRAINT log_state_one_check CHECK (one)
)
WITH (fillfactor='50');
CREATE SEQUENCE tidegate.node_fence
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE tidegate.nodes (
    id text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    mark bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    lease_expires_at timestamp with time zone NOT NULL,
    status bytea DEFAULT '\x7b7d'::bytea NOT NULL,
    lock_key integer NOT NULL,
    schema integer NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.0', autovacuum_vacuum_threshold='200');
CREATE TABLE tidegate.ranges (
    destination integer NOT NULL,
    after bigint NOT NULL,
    upto bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    cause text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    CONSTRAINT ranges_state_check CHECK ((state = ANY (ARRAY['exhausted'::text, 'cancelled'::text])))
);
CREATE TABLE tidegate.records (
    source text NOT NULL COLLATE pg_catalog."C",
    resource text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    version text COLLATE pg_catalog."C",
    number bigint NOT NULL,
    origin smallint NOT NULL,
    asked_at bigint NOT NULL,
    answered_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    deleted boolean NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT records_number_check CHECK ((number > 0)),
    CONSTRAINT records_origin_check CHECK (((origin >= 0) AND (origin <= 6)))
)
WITH (fillfactor='80', autovacuum_vacuum_scale_factor='0.05');
CREATE TABLE tidegate.refusals (
    number bigint NOT NULL,
    at bigint NOT NULL,
    source text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    remote text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE tidegate.refusals ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tidegate.refusals_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE tidegate.replays (
    id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    query bytea NOT NULL,
    "position" bigint NOT NULL,
    upto bigint NOT NULL,
    matched bigint NOT NULL,
    reopened bigint NOT NULL,
    finished_at bigint,
    cause text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE tidegate.resource_states (
    source text NOT NULL COLLATE pg_catalog."C",
    resource text NOT NULL COLLATE pg_catalog."C",
    cursor text COLLATE pg_catalog."C",
    etag text COLLATE pg_catalog."C",
    last_modified text COLLATE pg_catalog."C",
    first_done boolean NOT NULL,
    log_position bigint NOT NULL,
    polled_at bigint,
    reconciled_at bigint,
    scanned_at bigint,
    statistics bytea NOT NULL,
    memo bytea NOT NULL,
    fence bigint NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');
CREATE TABLE tidegate.route_revisions (
    revision integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    digest bytea NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE tidegate.route_revisions ALTER COLUMN revision ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tidegate.route_revisions_revision_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE tidegate.schema_version (
    version integer NOT NULL,
    oldest_reader integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE tidegate.settings (
    name text NOT NULL COLLATE pg_catalog."C",
    value bytea NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE tidegate.shares (
    number smallint NOT NULL,
    node text COLLATE pg_catalog."C",
    mark bigint DEFAULT 0,
    CONSTRAINT shares_number_check CHECK (((number >= 0) AND (number <= 63)))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.0', autovacuum_vacuum_threshold='200');
CREATE TABLE tidegate.spans (
    number integer NOT NULL,
    entered_at timestamp with time zone
);
ALTER TABLE ONLY tidegate.attempts ATTACH PARTITION tidegate.attempts_0 FOR VALUES FROM ('0') TO ('16777216');
ALTER TABLE ONLY tidegate.attempts ATTACH PARTITION tidegate.attempts_1 FOR VALUES FROM ('16777216') TO ('33554432');
ALTER TABLE ONLY tidegate.events ATTACH PARTITION tidegate.events_0 FOR VALUES FROM ('0') TO ('16777216');
ALTER TABLE ONLY tidegate.events ATTACH PARTITION tidegate.events_1 FOR VALUES FROM ('16777216') TO ('33554432');
INSERT INTO tidegate.attempts_0 VALUES
	(1, 16, 1, 3, 1796015532686267, 450, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(2, 16, 1, 3, 1796015532700100, 326, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(3, 16, 1, 3, 1796015532706297, 303, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(4, 16, 1, 3, 1796015532708504, 396, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(5, 16, 1, 3, 1796015532715279, 357, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(6, 16, 1, 3, 1796015532726002, 276, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(7, 16, 1, 3, 1796015532729954, 248, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(8, 16, 1, 3, 1796015532741060, 311, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(9, 16, 1, 3, 1796015532746083, 220, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(10, 16, 1, 3, 1796015532765979, 279, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(2, 16, 2, 3, 1796015533878010, 2232, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(15, 14, 1, 0, 1796015533908714, 5936, 200, '', '\x', '\x616e0a', 3, '', false),
	(16, 14, 1, 0, 1796015533908828, 6000, 200, '', '\x', '\x616e0a', 3, '', false),
	(17, 14, 1, 0, 1796015533908880, 6033, 200, '', '\x', '\x616e0a', 3, '', false),
	(18, 14, 1, 0, 1796015534305958, 3721, 200, '', '\x', '\x616e0a', 3, '', false),
	(19, 14, 1, 0, 1796015534306134, 3710, 200, '', '\x', '\x616e0a', 3, '', false),
	(20, 14, 1, 0, 1796015534306185, 3689, 200, '', '\x', '\x616e0a', 3, '', false),
	(21, 14, 1, 0, 1796015534306225, 3673, 200, '', '\x', '\x616e0a', 3, '', false),
	(22, 6, 1, 0, 1796015534516522, 2842, 200, '', '\x', '\x616e0a', 3, '', false),
	(22, 7, 1, 1, 1796015534516713, 2808, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/flaky', false),
	(22, 10, 1, 1, 1796015534516778, 2864, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/partner', false),
	(23, 14, 1, 0, 1796015534533814, 5754, 200, '', '\x', '\x616e0a', 3, '', false),
	(24, 6, 1, 0, 1796015534534893, 4815, 200, '', '\x', '\x616e0a', 3, '', false),
	(24, 7, 1, 1, 1796015534535021, 4766, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/flaky', false),
	(25, 6, 1, 0, 1796015534546508, 3472, 200, '', '\x', '\x616e0a', 3, '', false),
	(25, 7, 1, 1, 1796015534546635, 3458, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/flaky', false),
	(26, 6, 1, 0, 1796015534561922, 3135, 200, '', '\x', '\x616e0a', 3, '', false),
	(26, 7, 1, 1, 1796015534562046, 3119, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/flaky', false),
	(27, 14, 1, 0, 1796015534569975, 4993, 200, '', '\x', '\x616e0a', 3, '', false),
	(30, 10, 1, 1, 1796015534607378, 6150, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/partner', false),
	(30, 13, 1, 0, 1796015534607687, 6083, 200, '', '\x', '\x616e0a', 3, '', false),
	(22, 7, 2, 0, 1796015534650101, 2118, 200, '', '\x', '\x616e0a', 3, '', false),
	(25, 7, 2, 0, 1796015534650345, 2041, 200, '', '\x', '\x616e0a', 3, '', false),
	(24, 7, 2, 0, 1796015534652188, 9522, 200, '', '\x', '\x616e0a', 3, '', false),
	(31, 8, 1, 1, 1796015534666385, 331, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/down', false),
	(31, 9, 1, 1, 1796015534666593, 446, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/ledger', false),
	(31, 12, 1, 1, 1796015534666675, 443, 410, 'answered 410', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/gone', false),
	(31, 17, 1, 1, 1796015534666732, 441, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/leaver', false),
	(32, 8, 1, 1, 1796015534674637, 3427, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/down', false),
	(32, 17, 1, 1, 1796015534674835, 3380, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/leaver', false),
	(33, 8, 1, 1, 1796015534682155, 14104, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/down', false),
	(33, 17, 1, 1, 1796015534682340, 14054, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/leaver', false),
	(26, 7, 2, 0, 1796015534683772, 12639, 200, '', '\x', '\x616e0a', 3, '', false),
	(34, 8, 1, 1, 1796015534702173, 269, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/down', false),
	(34, 9, 1, 0, 1796015534702357, 304, 200, '', '\x', '\x616e0a', 3, '', false),
	(34, 17, 1, 1, 1796015534702448, 272, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/leaver', false),
	(35, 8, 1, 1, 1796015534705983, 252, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/down', false),
	(35, 9, 1, 1, 1796015534706145, 288, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/ledger', false),
	(35, 17, 1, 1, 1796015534706231, 266, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/leaver', false),
	(36, 14, 1, 0, 1796015534716484, 331, 200, '', '\x', '\x616e0a', 3, '', false),
	(37, 14, 1, 0, 1796015534743128, 157, 200, '', '\x', '\x616e0a', 3, '', false),
	(5, 16, 2, 3, 1796015535880598, 435, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(6, 16, 2, 3, 1796015539881421, 3008, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(4, 16, 2, 3, 1796015547894647, 448, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(38, 14, 1, 0, 1796015556866012, 341, 200, '', '\x', '\x616e0a', 3, '', false),
	(39, 14, 1, 0, 1796015556890986, 251, 200, '', '\x', '\x616e0a', 3, '', false),
	(28, 15, 1, 0, 1796015557068313, 529, 200, '', '\x', '\x616e0a', 3, '', false),
	(29, 15, 1, 0, 1796015557068460, 1162, 200, '', '\x', '\x616e0a', 3, '', false),
	(31, 15, 1, 0, 1796015557068517, 1154, 200, '', '\x', '\x616e0a', 3, '', false),
	(32, 15, 1, 0, 1796015557068622, 1120, 200, '', '\x', '\x616e0a', 3, '', false),
	(9, 16, 2, 3, 1796015563920751, 660, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(33, 15, 1, 0, 1796015557068678, 28718, 200, '', '\x', '\x616e0a', 3, '', false),
	(34, 15, 1, 0, 1796015557068731, 28736, 200, '', '\x', '\x616e0a', 3, '', false),
	(35, 15, 1, 0, 1796015557068774, 28717, 200, '', '\x', '\x616e0a', 3, '', false),
	(40, 26, 1, 3, 1796015557221052, 521, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/billing', false),
	(40, 8, 1, 1, 1796015557220695, 7118, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/down', false),
	(40, 9, 1, 0, 1796015557220946, 7082, 200, '', '\x', '\x616e0a', 3, '', false),
	(41, 26, 1, 3, 1796015557242943, 446, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/billing', false),
	(41, 8, 1, 1, 1796015557242663, 745, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/down', false),
	(41, 9, 1, 0, 1796015557242866, 697, 200, '', '\x', '\x616e0a', 3, '', false),
	(42, 8, 1, 1, 1796015557246004, 323, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/down', false),
	(42, 9, 1, 0, 1796015557246189, 265, 200, '', '\x', '\x616e0a', 3, '', false),
	(42, 26, 1, 3, 1796015557246297, 547, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/billing', false),
	(30, 10, 2, 1, 1796015557518362, 1932, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/partner', true),
	(22, 10, 2, 1, 1796015557535412, 1218, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/partner', false),
	(30, 10, 3, 1, 1796015557535508, 1130, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:46067/partner', false),
	(3, 16, 2, 3, 1796015593931060, 292, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(10, 16, 2, 3, 1796015623941506, 389, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false);
INSERT INTO tidegate.audiences OVERRIDING SYSTEM VALUE VALUES
	(8, '\x93d64a63e3ff337799fa7d456022c48a', 'app', '[5,10,11]', '[[8,5],[9,5],[11,5],[12,5],[26,11],[27,11]]', '[15]', 3),
	(1, '\xa6a4505653ad3012944ae02fc3287e36', 'ticks', '[6]', '[[16,6]]', '[]', 14),
	(3, '\x20bab8ce4bfc0c50cc6f8bb5e5e942d5', 'shop', '[1,2,3]', '[[6,1],[7,1],[10,2]]', '[14]', 1),
	(4, '\x00096143dcd248f4a360eabde8b4467a', 'shop', '[1,2,3]', '[[6,1],[7,1]]', '[10,14]', 3),
	(5, '\x779da1fc24cd0786cefd2b5e45f1f816', 'raw', '[]', '[]', '[]', 2),
	(6, '\x4e619631b57b7d1c33e2feacb2095d16', 'leads', '[4]', '[[10,4],[13,4]]', '[]', 1),
	(7, '\x8ccdb29202f93f1ddfa504f24f874bcc', 'app', '[5,8]', '[[8,5],[9,5],[11,5],[12,5],[17,8]]', '[]', 5),
	(2, '\xd11d8610010ed6f9af498da02d2ce57d', 'shop', '[1,2,3]', '[[14,3]]', '[6,7,10]', 13);
INSERT INTO tidegate.dedupe VALUES
	('\x73686f7000007072696365732f70312f31', 15, '\x30fe6f4986426108aca2554a991a147f', 1796015533887291),
	('\x73686f7000007072696365732f70322f31', 16, '\x02fad65d2bb808f86d7b4b277cddb406', 1796015533887291),
	('\x73686f7000007072696365732f70332f31', 17, '\x74863bc3d4ed605e4a8bba07ccfe6da6', 1796015533887291),
	('\x73686f7000006f72646572732f6f312f31', 18, '\x9f83b608b4c18f63c7afe2ddefbe001e', 1796015534297419),
	('\x73686f7000006f72646572732f6f322f31', 19, '\x97c311b9fafbad5565579f8b228d078f', 1796015534297419),
	('\x73686f7000006f72646572732f6f332f31', 20, '\x38d161a33659cca1ea4b1b0e069875d3', 1796015534297419),
	('\x73686f7000006f72646572732f6f342f31', 21, '\x1ad0d4ea7bf83f454d1b34c32b2e1cf5', 1796015534297419),
	('\x73686f70006d73675f31', 22, '\x375a84091ac980e42b20f6c628ddb81b', 1796015534510699),
	('\x73686f7000006f72646572732f6f312f32', 23, '\x9a7e1c11be9894eb90e5bb85365cd483', 1796015534520450),
	('\x73686f70006d73675f32', 24, '\x3cbb680b80c094d6a8c00cccc9025839', 1796015534519897),
	('\x73686f70006d73675f33', 25, '\xb08e2f7715b9a855a27f811c431d72c1', 1796015534540109),
	('\x73686f70006d73675f34', 26, '\xbe3165235bc47de332b574f0cda4bb0c', 1796015534558218),
	('\x73686f7000006f72646572732f6f332f32', 27, '\x38d161a33659cca1ea4b1b0e069875d3', 1796015534561714),
	('\x72617700722dc383c2a9', 29, '\x8ece2bcfe25e9674e74cb93d6c9c6781', 1796015534594374),
	('\x61707000696e762d31', 31, '\x11a042701ba30e62aef7e007f3fafc8f', 1796015534650831),
	('\x61707000696e762d32', 32, '\x9da9a4daecdd3c39f3af69966325e648', 1796015534667856),
	('\x61707000696e762d33', 33, '\xbbeed77a1fd160bfd0dc3c4c9bdf7813', 1796015534678757),
	('\x73686f700000637573746f6d6572732f63312f32', 36, '\xb8890ea8292a91c2b4d9ef1ad2f8e0d2', 1796015534710746),
	('\x73686f7000006f72646572732f6f342f32', 37, '\x73e03e70bd150e62510eb0286412e4cd', 1796015534739030),
	('\x73686f700000637573746f6d6572732f63352f32', 38, '\xb082e06463cd844f6117a9c8508dad71', 1796015556862910),
	('\x73686f7000007072696365732f70312f32', 39, '\xd1537b33f1fe017d82ff798a27933db4', 1796015556882688);
INSERT INTO tidegate.events_0 VALUES
	(1, 1, 'tick', NULL, 2, 1796015532665376, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20307d'),
	(2, 1, 'tick', NULL, 2, 1796015532694890, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20317d'),
	(3, 1, 'tick', NULL, 2, 1796015532701386, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20327d'),
	(4, 1, 'tick', NULL, 2, 1796015532707573, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20337d'),
	(5, 1, 'tick', NULL, 2, 1796015532712884, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20347d'),
	(6, 1, 'tick', NULL, 2, 1796015532721814, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20357d'),
	(7, 1, 'tick', NULL, 2, 1796015532729132, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20367d'),
	(8, 1, 'tick', NULL, 2, 1796015532731265, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20377d'),
	(9, 1, 'tick', NULL, 2, 1796015532743551, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20387d'),
	(10, 1, 'tick', NULL, 2, 1796015532758026, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20397d'),
	(11, 1, 'tick', NULL, 2, 1796015532770440, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a2031307d'),
	(12, 1, 'tick', NULL, 2, 1796015532774837, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a2031317d'),
	(13, 1, 'tick', NULL, 2, 1796015532782557, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a2031327d'),
	(14, 1, 'tick', NULL, 2, 1796015532787027, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a2031337d'),
	(15, 2, 'prices.created', 'p1', 3, 1796015533887291, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22707269636573222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c226e6f7465225d2c2276657273696f6e223a6e756c6c2c226e756d626572223a317d', '\x7b226964223a227031222c226e6f7465223a225c7530303030227d'),
	(16, 2, 'prices.created', 'p2', 3, 1796015533887291, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22707269636573222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c226e6f7465225d2c2276657273696f6e223a6e756c6c2c226e756d626572223a317d', '\x7b226964223a227032222c226e6f7465223a225c7530303030227d'),
	(17, 2, 'prices.created', 'p3', 3, 1796015533887291, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22707269636573222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c226e6f7465225d2c2276657273696f6e223a6e756c6c2c226e756d626572223a317d', '\x7b226964223a227033222c226e6f7465223a225c7530303030227d'),
	(18, 2, 'orders.created', 'o1', 4, 1796015534297419, 1795168801000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30315a222c226e756d626572223a317d', '\x7b226964223a226f31222c22746f74616c223a31302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30315a227d'),
	(19, 2, 'orders.created', 'o2', 4, 1796015534297419, 1795168802000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30325a222c226e756d626572223a317d', '\x7b226964223a226f32222c22746f74616c223a32302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30325a227d'),
	(20, 2, 'orders.created', 'o3', 4, 1796015534297419, 1795168803000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30335a222c226e756d626572223a317d', '\x7b226964223a226f33222c22746f74616c223a33302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30335a227d'),
	(21, 2, 'orders.created', 'o4', 4, 1796015534297419, 1795168804000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30345a222c226e756d626572223a317d', '\x7b226964223a226f34222c22746f74616c223a34302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30345a227d'),
	(22, 3, 'order.updated', 'o1', 0, 1796015534510699, NULL, 0, false, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3335323335225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c226d73675f31225d2c5b22776562686f6f6b2d74696d657374616d70222c2231373936303135353334225d2c5b22776562686f6f6b2d7369676e6174757265222c2276312c562b524a67435853566a683932523272306976326b5336414d67527466746a64595858726e5256786755383d225d2c5b22616363657074222c222a2f2a225d2c5b226163636570742d656e636f64696e67222c22677a69702c206465666c617465225d2c5b22757365722d6167656e74222c22507974686f6e2f332e31312061696f687474702f332e31342e35225d2c5b22636f6e74656e742d6c656e677468222c223939225d5d', '\x', '\x7b2274797065223a20226f726465722e75706461746564222c202264617461223a207b226964223a20226f31222c2022746f74616c223a203135302c2022757064617465645f6174223a2022323032362d31312d32305431303a30303a30395a227d7d'),
	(23, 2, 'orders.updated', 'o1', 0, 1796015534520450, 1795168809000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a7b226964223a226f31222c22746f74616c223a31302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30315a227d2c226669656c6473223a5b22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30395a222c226e756d626572223a327d', '\x7b226964223a226f31222c22746f74616c223a3135302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30395a227d'),
	(25, 4, 'order.deleted', 'o3', 0, 1796015534540109, NULL, 0, false, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3335323335225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c226d73675f33225d2c5b22776562686f6f6b2d74696d657374616d70222c2231373936303135353334225d2c5b22776562686f6f6b2d7369676e6174757265222c2276312c6c7853744859303641486e686b72596957634737312b416342465673652b56344b69397357565a766f786b3d225d2c5b22616363657074222c222a2f2a225d2c5b226163636570742d656e636f64696e67222c22677a69702c206465666c617465225d2c5b22757365722d6167656e74222c22507974686f6e2f332e31312061696f687474702f332e31342e35225d2c5b22636f6e74656e742d6c656e677468222c223437225d5d', '\x', '\x7b2274797065223a20226f726465722e64656c65746564222c202264617461223a207b226964223a20226f33227d7d'),
	(24, 4, 'order.created', 'o9', 0, 1796015534519897, NULL, 0, true, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3335323335225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c226d73675f32225d2c5b22776562686f6f6b2d74696d657374616d70222c2231373936303135353334225d2c5b22776562686f6f6b2d7369676e6174757265222c2276312c336543414b417869496e4e737875626337467162306a6a506348686c5a794d4458794b6b4e6246692f41303d225d2c5b22616363657074222c222a2f2a225d2c5b226163636570742d656e636f64696e67222c22677a69702c206465666c617465225d2c5b22757365722d6167656e74222c22507974686f6e2f332e31312061696f687474702f332e31342e35225d2c5b22636f6e74656e742d6c656e677468222c223539225d5d', '\x', '\x7b2274797065223a20226f726465722e63726561746564222c202264617461223a207b226964223a20226f39222c2022746f74616c223a20357d7d'),
	(26, 4, 'order.refunded', 'o2', 0, 1796015534558218, NULL, 0, false, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3335323335225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c226d73675f34225d2c5b22776562686f6f6b2d74696d657374616d70222c2231373936303135353334225d2c5b22776562686f6f6b2d7369676e6174757265222c2276312c534d766b5874463942474d6e6b373735624455643867474d6d3873533732314d734a47786b492f757837413d225d2c5b22616363657074222c222a2f2a225d2c5b226163636570742d656e636f64696e67222c22677a69702c206465666c617465225d2c5b22757365722d6167656e74222c22507974686f6e2f332e31312061696f687474702f332e31342e35225d2c5b22636f6e74656e742d6c656e677468222c223631225d5d', '\x', '\x7b2274797065223a20226f726465722e726566756e646564222c202264617461223a207b226964223a20226f32222c2022746f74616c223a2032307d7d'),
	(27, 2, 'orders.deleted', 'o3', 0, 1796015534561714, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a7b226964223a226f33222c22746f74616c223a33302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30335a227d2c226669656c6473223a5b5d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30335a222c226e756d626572223a327d', '\x7b226964223a226f33222c22746f74616c223a33302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30335a227d'),
	(28, 5, 'raw', NULL, 0, 1796015534578267, NULL, 0, false, '', 'application/octet-stream', '\x5b5b22686f7374222c223132372e302e302e313a3335323335225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6f637465742d73747265616d225d2c5b22616363657074222c222a2f2a225d2c5b226163636570742d656e636f64696e67222c22677a69702c206465666c617465225d2c5b22757365722d6167656e74222c22507974686f6e2f332e31312061696f687474702f332e31342e35225d2c5b22636f6e74656e742d6c656e677468222c223130225d5d', '\x', '\x00fffe20726177200d0a'),
	(29, 5, 'raw', NULL, 0, 1796015534594374, NULL, 0, false, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3335323335225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c22722dc383c2a9225d2c5b22616363657074222c222a2f2a225d2c5b226163636570742d656e636f64696e67222c22677a69702c206465666c617465225d2c5b22757365722d6167656e74222c22507974686f6e2f332e31312061696f687474702f332e31342e35225d2c5b22636f6e74656e742d6c656e677468222c223431225d5d', '\x', '\x7b226e616d65223a202268616c66205c7564383364222c20227a65726f223a20225c7530303030227d'),
	(30, 6, 'form.submitted', 'ann@example.com', 1, 1796015534596829, NULL, 0, false, '', 'application/x-www-form-urlencoded', '\x5b5b22686f7374222c223132372e302e302e313a3335323335225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f782d7777772d666f726d2d75726c656e636f646564225d2c5b22616363657074222c222a2f2a225d2c5b226163636570742d656e636f64696e67222c22677a69702c206465666c617465225d2c5b22757365722d6167656e74222c22507974686f6e2f332e31312061696f687474702f332e31342e35225d2c5b22636f6e74656e742d6c656e677468222c223434225d5d', '\x', '\x656d61696c3d616e6e2534306578616d706c652e636f6d266e6f74653d677225433325424325433325394665'),
	(31, 7, 'invoice.paid', 'k1', 2, 1796015534650831, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20312c20226661696c223a20747275657d'),
	(32, 7, 'invoice.paid', 'k1', 2, 1796015534667856, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20322c20226661696c223a20747275657d'),
	(33, 7, 'invoice.paid', 'k1', 2, 1796015534678757, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20332c20226661696c223a20747275657d'),
	(34, 7, 'invoice.paid', 'k2', 2, 1796015534696802, 1795167000000000, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20347d'),
	(35, 7, 'invoice.open', 'k €', 2, 1796015534703437, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20352c20226661696c223a20747275657d'),
	(40, 8, 'bill.made', 'b0', 2, 1796015557198085, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20307d'),
	(41, 8, 'bill.made', 'b1', 2, 1796015557228485, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20317d'),
	(42, 8, 'bill.made', 'b2', 2, 1796015557244203, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20327d'),
	(36, 2, 'customers.updated', 'c1', 3, 1796015534710746, 1795248000000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22637573746f6d657273222c226265666f7265223a7b226964223a226331222c226e616d65223a22437573746f6d65722031222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30315a227d2c226669656c6473223a5b226e616d65222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32315430383a30303a30305a222c226e756d626572223a327d', '\x7b226964223a226331222c226e616d65223a22416e6e2042222c22757064617465645f6174223a22323032362d31312d32315430383a30303a30305a227d'),
	(37, 2, 'orders.updated', 'o4', 5, 1796015534739030, 1795341600000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a7b226964223a226f34222c22746f74616c223a34302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30345a227d2c226669656c6473223a5b22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32325431303a30303a30305a222c226e756d626572223a327d', '\x7b226964223a226f34222c22746f74616c223a34352c22757064617465645f6174223a22323032362d31312d32325431303a30303a30305a227d'),
	(38, 2, 'customers.deleted', 'c5', 3, 1796015556862910, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22637573746f6d657273222c226265666f7265223a7b226964223a226335222c226e616d65223a22437573746f6d65722035222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30355a227d2c226669656c6473223a5b5d2c2276657273696f6e223a22323032362d31312d32305431313a30303a30355a222c226e756d626572223a327d', '\x7b226964223a226335222c226e616d65223a22437573746f6d65722035222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30355a227d'),
	(39, 2, 'prices.updated', 'p1', 3, 1796015556882688, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22707269636573222c226265666f7265223a7b226964223a227031222c226e6f7465223a225c7530303030227d2c226669656c6473223a5b22616d6f756e74225d2c2276657273696f6e223a6e756c6c2c226e756d626572223a327d', '\x7b22616d6f756e74223a31322c226964223a227031222c226e6f7465223a225c7530303030227d');
INSERT INTO tidegate.exceptions VALUES
	(8, 31, 0, 1796093645955868, 1, 'http_error', '', 0, 0, ''),
	(9, 31, 0, 1796097994346975, 1, 'http_error', 'k1', 0, 0, ''),
	(12, 31, 0, 1796015534667170, 1, 'http_error', '', 0, 0, ''),
	(17, 31, 0, 1796117889059069, 1, 'http_error', '', 0, 0, ''),
	(9, 32, 1, 0, 0, 'behind_key', 'k1', 0, 0, ''),
	(8, 32, 0, 1796102798143033, 1, 'http_error', '', 0, 0, ''),
	(17, 32, 0, 1796105914362672, 1, 'http_error', '', 0, 0, ''),
	(9, 33, 1, 0, 0, 'behind_key', 'k1', 0, 0, ''),
	(8, 33, 0, 1796096266142279, 1, 'http_error', '', 0, 0, ''),
	(17, 33, 0, 1796109879784422, 1, 'http_error', '', 0, 0, ''),
	(8, 34, 0, 1796116554060483, 1, 'http_error', '', 0, 0, ''),
	(17, 34, 0, 1796087325814394, 1, 'http_error', '', 0, 0, ''),
	(8, 35, 0, 1796101437738490, 1, 'http_error', '', 0, 0, ''),
	(9, 35, 0, 1796110275570760, 1, 'http_error', 'k €', 0, 0, ''),
	(17, 35, 0, 1796088517377110, 1, 'http_error', '', 0, 0, ''),
	(26, 40, 0, 1796096050781532, 1, 'refused', '', 0, 0, ''),
	(8, 40, 0, 1796094454327036, 1, 'http_error', '', 0, 0, ''),
	(26, 41, 0, 1796113153468894, 1, 'refused', '', 0, 0, ''),
	(8, 41, 0, 1796099704923711, 1, 'http_error', '', 0, 0, ''),
	(26, 42, 0, 1796089992131980, 1, 'refused', '', 0, 0, ''),
	(8, 42, 3, 0, 1, 'operator', '', 0, 0, ''),
	(11, 42, 3, 0, 0, 'operator', '', 0, 0, ''),
	(16, 9, 2, 1796015564897350, 2, 'expired', '', 0, 0, ''),
	(10, 22, 2, 0, 2, 'http_error', '', 0, 9, ''),
	(10, 30, 2, 0, 3, 'http_error', '', 0, 4, ''),
	(16, 1, 2, 1796015533838334, 1, 'expired', '', 0, 0, ''),
	(16, 2, 2, 1796015534964376, 2, 'expired', '', 0, 0, ''),
	(16, 3, 2, 1796015594904529, 2, 'expired', '', 0, 0, ''),
	(16, 4, 2, 1796015548764720, 2, 'expired', '', 0, 0, ''),
	(16, 5, 2, 1796015536716840, 2, 'expired', '', 0, 0, ''),
	(16, 6, 2, 1796015540874119, 2, 'expired', '', 0, 0, ''),
	(16, 7, 2, 1796015533897899, 1, 'expired', '', 0, 0, ''),
	(16, 8, 2, 1796015533858570, 1, 'expired', '', 0, 0, ''),
	(16, 10, 2, 1796015624762793, 2, 'expired', '', 0, 0, '');
INSERT INTO tidegate.feeds VALUES
	('warehouse', 4, 1796015557608441);
INSERT INTO tidegate.items OVERRIDING SYSTEM VALUE VALUES
	(2, 'source', 'leads', 'file', '\x0158b98c7880ca3e60db4369a2645aa5d0d0e3fbb0b8284e6a56c32ed47742132f983c91943b5c2c85f5a7002708b5784aa44b9a59b1b891e4691bc76dc9305049d13271c3b4daf161c6f4ac250397f0b66b2e233414ffee92670c3572a49a43c6ce2c6e6c0cd3e38689ef485dbd980e2b68c454674cd5c8d0a092ed8594edcd7360f02da99a298449bed03ba6517e0c6903b3f9302a83b0c07d24662a99f52ea08396cb5611e3dc', 1, 1796015532386782, 1796015532386782, NULL, '', NULL),
	(3, 'source', 'app', 'file', '\x015bf559cd36c45b47d953d69bc48aeecfaf21fe4c1f8b6af5fa9f26a8a2e16d2e82839577f4853bd012cfe38a052190b91e0996f460f6ebad48a160f87a59f6b7aa13ca5cc46704ce47116a2247f1eae90ebec9f21c59e1c3391f14b674202b85ee2b1703b98da8294c7ae009c51f793eb853555c71417e76c24b30441d8e2f817d84', 2, 1796015532386800, 1796015532386800, NULL, '', NULL),
	(4, 'source', 'raw', 'file', '\x01ecae737d35e57477296258b9a2e1d7619d65e514c0505e26e9a7a3635e33bffc5c78376bd09b19c103ad12a79c59a9d363ffaa0c33242612139cbf166d8b2095a21d57b5ff74e034043a838762a3941ba99c90aa44a40d72e8cffae4e243c18af89b8f58d08843bae8b6dfef6890261c0415e03178bd8b86e241d69888305fe5ea65afcf0d217294d25a9a609969020869ac1e9c0b77467f457f4326a7737fed6cc7e57b8843cefa0114059700047a5b04acf95c0250', 3, 1796015532386813, 1796015532386813, NULL, '', NULL),
	(5, 'source', 'ticks', 'file', '\x0111e4f23ebee0f56f4556bbbcc0310426ebc9ebb209d2fb371b26dd34dca545cceabe99a9ac88e3cb45da6b317e7c85207757cc6e285c053d35646ea4f58b9ebb489ae688e3de828d84e9938aea00757526ae98e718f8db269344b3f789c837cf9de99c085f4b58d97eb0a4c9275be96316b9cc9c1074a655c0507ed54c2df842118d', 4, 1796015532386847, 1796015532386847, NULL, '', NULL),
	(6, 'destination', 'crm', 'file', '\x01dd00092563fead1c348e08f57c19d9ea8e3c712a884822eea30a568d2997882d5f397ede0a9ddbf25639866891a15b14a8350dff663fadef87f72a26069a9743049e588ab28dc77a51ea36b864f9a63362372e6d3992f27d3c28e6c46eaf3da26abcd6c8b72a7983ba94dcac1e66523b69c1a1c04bbeb497c3b88bd08468d92f1e54c11e1a6a27adc04470371554869935e1a2c100dbce4b2eab7b45375d06206bec0e8328158cf2bea5c719d0b5794e7e1726e2c41038e53362cd2458766cd6a23acf7de53ec927d89479f21d5942ad5cf59c16d305723e22516bd7a75df0a91b6fa7859e771d57c75f6783776802f7a3e75e3fd149eaa5220911d4', 5, 1796015532386857, 1796015532386857, NULL, '', NULL),
	(7, 'destination', 'flaky', 'file', '\x01d5706e81935912d34030f0c37c339dfdf63620096b6ac00614f82234f16f0e67724089e2b45339aa8abdfd8dda9afe064218803c124ab830b78659aa37c86bfd7ae5befac14cc8c61c17a1ae26efdeac0d8858b25c679326e0c102fc0a4bc111c859ef2e75723064f9f9fa7dcfe72bd490062897b9298fc9d850b824a7baf12089d33d4caa49674a8eae167d8b37aca48b01a6bb4b0f4e940632dc77937d6797eab7dd42663b7e582014496c07aed6a2a528a886595d28900c5876e91e478a2fe5b408c2dfad4af604f4559c8f5d8d03d117da9e047dbe3c8c33c7a8a03a4eb2', 6, 1796015532386884, 1796015532386884, NULL, '', NULL),
	(8, 'destination', 'down', 'file', '\x01f53c36ed0425eb9dcc176bcbf41738d188c05cdbceac3a96f696583ccea5d980b8705a956300af29f435b46e9eec2119f8956035143474548ceac60a9b48b2ad399abc825a185250c751131125b313fd981dca9e7f371a46cd2f5a357ade0773a0bbd9e5d912bd61f9e45bbb4e4e2ce76025617229bd195d86b8c64c8f8d4b6009460c94f530b5d374ba8d5df61fa6018cd0f729e2be953956ff51abf3148a4842779e251f56e0460bc979c5434885ac94adcc12159550b10ad0a978d110c6f829508728c49233554e9829fbc001b2defbe7a390ea6e7cc5602f07185cd9b3e578', 7, 1796015532386904, 1796015532386904, NULL, '', NULL),
	(9, 'destination', 'ledger', 'file', '\x01705f43dafd0c76be2821d9a64183422579a4c75ce403e9b53a1308c4416824617289572803d57f692da48b5eeb85f032568b200089b931a8638215f1d9050b05c6d64e4dc844ad5a7af4630921c86549c259247a2791fca2227d5bfbdfed99900932fab292f8bbf0b6ed75b5d5dd903fcdcf934e13cbd5a705c86ff8dcbc97b5ca8f2f7c2ff58a86a1256e01407763f9d2cfe8b261b62189d39cf911d1242ef510a5eff4bef714e2d86f7fb85fba18003aa7a0013bd4a9fd41d718ce8d57dff19de70c3186482570f2d39539a75556b68d09bcf8f424f14413131e2fedf148bba898e7fa6f29cd5470e67d693c140582b7', 8, 1796015532386920, 1796015532386920, NULL, '', NULL),
	(10, 'destination', 'partner', 'file', '\x01d3099c2a2331746bcb43f439aeb02c8e92af960b429a031853c6960149cb93ff3ad9f48640e55705f595a6263eafe54bba4ced98b0204dae8340951dd4ff5f873f409909f320a2744e89ceb433f6d24bbddfaa9a76c44904ac1d2745151d28584c53f75a25c506937bfae8954211ba4ab5a3560010fce03423da78fae523602edfa989339901c03555c16cd76a02bd6ebb22318357e2114a2288c4baf70e7c121ca2b612c9b144a0c565b6e86ca956a5d590a25aed1948ae32a7cecaa0fe207a3b0ea686885cf7f143d13264244f6d54d76a3c6462949926856e9f', 9, 1796015532386932, 1796015532386932, NULL, '', NULL),
	(13, 'destination', 'chat', 'file', '\x01eca6a9f9b70f148acdcbda6911ebbfdc4ec9a14ef3fec7fc759d1584dff100e858779e201d8d817838b63357db560d9c2877e1249dc068565c629354279fd45ac20e0a98025d7249160137d1dec1cfa6bb067151829b824bb8a64da2e00b78658cffa50afb48a1ab8cbd79593fe6bdd2dc5ebf66715214083cb0ffb335fe3810ae06b7f861d36abf77a9bd3b9658aae2955a8b57c8da38414bde9698a7d13ef58a4e2198b22a4573213299129e158ca82d70f2696ef53ad842d3aff3de28e5a23538dc5a39d422f5bf47669eedefe2ff33e68bc8348ce0b44fdea328ab4e67182e81b22e7055018da53ec8bd77e22a477956f7850343d67643b6c350fc8e93c733ca569540b3aa7f513e2b9efcc118e3b8f9f1', 12, 1796015532386982, 1796015532386982, NULL, '', NULL),
	(14, 'destination', 'audit', 'file', '\x019d0a3479a41e59193a66a0d5b0e4f24348f68d66f7c34a6e290d7f6e9ec9d3f4d136455d323b88e1ba49a49927b563c23584bf6c749691e9f46e41a42088f7267a090e7b902fbf451c258dd7dd14a3911eeeb2186ec512007f57dc53d7df63709b8145dcc5c52c36a39f6c785b109da0e36387e9c4c63b89305a81c9b24a8db3f6e209557d972621abb8ab9d0af10c19233f935661c001c48857dc2ed3877691452861e6ea9420cb12fe764a722479b51df9d0ea44b37534199761d1108dafdd899e74aecbba4d27ee6a7c9e4d56f675dc08498fe543a1cb725147e8480fd1a0f33592c519e45da47a18b18188260f2b6e98dc64e7523d39a8e20b50c0423f574fa7f631ad23673b9d673322ef6b273f41241c18a2c313280b4ef585c42f5ca4955702943ccd17cbf695afaab3852408b43da450e487ca6e617ea72523a5ec077584', 13, 1796015532386993, 1796015532386993, NULL, '', NULL),
	(15, 'destination', 'late', 'file', '\x016593f8b5ba85622f6058a6c2d5b0fcef566ee34b15235a72c87825b2122ae9a980742a3ec19b61536005c43a2914248bdd8c3a44c7352c34f0f43eb0b8389b5f0a89662fc26f805a018bc87ac58f95407711afd5837e236ab463fa8b0aa4a8519b94ced6ddb9eaeed3a2529aec7332f748d5c3ce98e5af2d5683e45f1165942d8bc37225cb30496216a7c28f9c7061b380a9932e7a84737da9f075b7a234e15631b1d965a70752822f8b65f56b7ffe1196685835346f79b11cf7d8f568c6c1720488b3db2b5d0fab49a1ac3436f0a0356e4d6d56cbc8b24723338511d9f7a12e70aaa3e1356b012effbbe21314fa01d4d05df0cac5c8bc0fca9eeb305e7a3abb300ae2955cfe6a5748d0084f8e195a60d4', 14, 1796015532387009, 1796015532387009, NULL, '', NULL),
	(16, 'destination', 'dead', 'file', '\x01e1851c8260d37081b5280bfb513073112f9873a12470b4c69c92431b741bbb3dcde26d2dca862714429ec849578de982146319f9d55634839b58e878cd39b23e6760d91f51b83e0e65a7ebc0ce2d73be2b23b4bf0ee5a9d42055eb64b1398cf9649c95101efb71f656fdbabb28f46f5ecad293072d3f1b506f2fd654e6e2ab5dbc3b94ebac858f8fe49022221a61a1c27d9d14c376f986e9be04b995c10d78ce3a7cc9e916e592742677c60820f16d375f2ba64d3e233e2b610fc99a76585cc63e8f2ab3acca1f99c4a934132cc064c7112f91b42758a90738a074e0119622c0c6ae8d380651ecab3a9c7ddfaf30c7db35df0ebd3d275dc65e3f6382c97b7997c3e7126e18d87f4b1dfeea5fcad3bd31999c93c68944359751eae43f4037abca7d3178ef479605b334ac31c9b3c48078', 15, 1796015532387020, 1796015532387020, NULL, '', NULL),
	(12, 'destination', 'gone', 'file', '\x012df6381f949f796922b87d0d24c270b1f6532cb69a62dd595fca018595dba46feab6f12bef870d23e3f80461b0e54aff5224524a26c0c0d5959db525e902f37c8598d9d0d60f63d12bdf61e93f394c20ee5ac0eeb66621c628666d8a55ed18d01ad4a1f6786169f4138408ea43339df80ada9a0e04acb7a3c8eadf5121cb9f83f4abb8757a198415c30f164f87ee0208da4d408670345650d73dd5ee3048f521a6a325b8bc206a802ea0e83053b3385160c6630135a0e941d507201a9276506d257b4670f06a523471e46fac31909578eae12b38a6682026f4e14f88eb305a24eebe475257a6eccb4d8dfc5d972a01fc95a252fc128ad2bb781b550b1a', 11, 1796015532386955, 1796015532386955, 1796015534667259, 'gone', NULL),
	(18, 'route', 'webhooks', 'file', '\x01adec543aabd66e564dd60aad8f1e472cc06a393c66b981eeab2f91f1e89b78620d56a94f9a88b928c5c7212955057b28cd80e1301d18287c7125b6d10e408aa5e6c5692a26de04819f917fbe8d2fb2f542be6916eede72528be0ca183cf86cdc36a64b79e3151c36bc70e687e108e9bc8622d8041cd200ca73c82057b1cea43efdba1987d1d5f1be7b8a1961a98dbd81a14b7f84a95b3a8141fd107d6f3084d4f557ff4c437553b32409b1d8', 16, 1796015532387041, 1796015532387041, NULL, '', NULL),
	(11, 'destination', 'held', 'file', '\x012fa20d322b67545107fe567b9e54353b72a9dcc316a6ae078af3c299d9197c406adb1973b9cc0613d24aaaf321a53bb4cefe42343ffbc513ca546ef90f65111aa64f1884d4a7b3d10b5b95067b7e967c1166fa2b57d8c344f5af630d3829d6160c0fc636ea9f550746924cb6b5cde1cf75d2fb3c930f6034a9a4fe0ff78030fedaabcdc33cf2dacfc11bce75897f531ede6ce68b5a454bd4b30b7dc890c70a5eaa5a2e2db90df38a0cd0249e593642994d5f418b595ad8e5b0dfe1daadfecac247d1ebf8bce8761b881e1a118c9efc7df3e82b2c48145a4d75ac6a4caec174a85c41248dc478fcaa97a6cc2ed03090e9ae335b8552082945be8772d8d3', 10, 1796015532386942, 1796015532386942, 1796015534616737, 'operator', NULL),
	(25, 'route', 'leaver', 'file', '\x011a2d7607a5d12dd91365db1967c610223c15dc4657e306387a85b7da1df65c7e271c4beb5e2411b5c47b01c96ba99bcaa41fa1234a4a9d838325911f47c7d4b0fad33516778c462e66525242b49ca59ca411e1b01ba3d38d7e0c97e06bac1ecad24eb6c029d8efc2da4f703b893d6db3d4bb422781fb957726c93af81a4f5334d2f47680c9a69c1723472cf3824adca5', 24, 1796015532387106, 1796015556960599, NULL, '', 1796015556960599),
	(1, 'source', 'shop', 'file', '\x018e5c9f5f373d6fb586694f790159cc8eed55a534720b9e6d96b286562f6ce360934a30d36e77907b93ed2156d3e6a6c3f129569759c99003f81404b4482fed445a03c7195d7b026063493e35a00af72f4d7eaeccd9bb984c09dac2e785568556ff53ae8302cf1e8da4d3fd40d0d1eda47b25b0f3cd85393b0dfc6af442903ad8d489375544e74d280d8b720a6353a9169322bfd5eb17712433c0b47c7a8648222baa084ca6a9e5c71865e8778863f2514cd1090055f9f9cd3197d4b8b9264fc0d7eba49282bb961ce5fb0f69e44b08b8dee95138c016bd21552350e2c876883770b3d332ca8f282cf1729e2e2a3fb1736c37c00d7e33e8a228e30bdb2b9a6fe8aff6fb41a7dff3d7af92a7a058771a3e7d80f1966dfd56d2c9301288cd1096c20bf4491812774ce2b825df99a6470146120295d5a93940362d8c13ce0fa81bf8876809adf12e25c2596725d39ba1a7776bbbfbe3fb2488a5c37b897925d46e05f6cc4d7604e4c4fd1a0222a52ccdd996115dbf6b275d7d19b33c5cce3b8c958e06c61f888a6e48d93f410e4e1c5d958c02dd808f369e4645a05254a5ae804620279fcb9d9730adaeb001009e674fb678a7a7964db6f100cafbd06bd7bfca0fdfc36da57b585cfdb18396e097e0a48ff938532210aab043261fb9bc4ef4040fb3455e9b752bd896c0132fb7b4ee1ce2fed5c2528e91d6ae67a1874d84fc9b43435c3d22d0ab1002e4da996509d324b77d085ef14aa4601dfa7c4610b74b87b0c215c867448cc93f189e70f5500277616e6209c675feb6f673987f11fc3006947a3c36f8c33c98c0b698497399c5abbb53bf6a3b70c218e595872c162930b6e07fabfb6f5b7651b5441be7c8295d61f4b4fcdc24d18100655aaf5b098d1c4b327b0f69e929a5b0ac1f32c30573a277c782e9a2cb7147c3043161c1e6c103ab87b818b8a68e67b67683f872a5af7570c1affcf90af6dc25b287711e04da4f249d8b912a78e25d00432180da978012f97faad91b674196ec78e74cbf3cc2dd953f03f6cf705d0da4eedbf5f7b9781b5492cb9dff5c8ef64bfe248256931bfc06ecbb3b94d37556ccbfd49f05e964462e9fa264455aaeee98f4be8ab89979e58e5960b717994b71cdd13957479eadcf593e0c6cb414e06231ba888fff1aa42216647cb44945dc8b6d22701eb69440e94fc8b638cdcc5b7feb01156b64eab2bf23420963071880c5b1ee0623dea26f9f206fe94578062d300f47456c9a71580e1dd83d847ba91926d48ec234c0523c8b24b9afe14f6cd3cf8a3fc3df449f46a25d2366af2919633ba2dcc3d8ce5ff02a8b6c192d452ab6c51f222a2fc05de6403b5f90f324237ce515cc4b7e86816dc02313316c62273b9e300f74d829a19145ee6fc7121cdc8b4ad68c1b566acb8e6a1e30fa4705f59cebe50cd8178d26c20866003a50a83f34afa0f95a901a69d0f81f040db15b670292fa0a9f2780edfda5b48283be2c2f1d47fd02d25f7ddb336a3ab0a28bfbddc291013e1af11ceb5fa3a9bd53ca84bb7ae51b108b0d2f9f934f1642d19f2e8c0f9681a197', 0, 1796015532386662, 1796015556957692, NULL, '', NULL),
	(19, 'route', 'big', 'file', '\x013d26399ee128be277c568cc0103aef41c5f86218b6ee97a8fcf88e35cc2b376f01d47299727d828feb54713ec05a2332e09e29c662858feb431d8d49630825aca424467921182f5dfd311b03a335f026822aa338c791626532566e0b37d7e032bb6e32ca4372d7c9347d9b6edb7fa6434c68b54671c2b8cff134eec6431b82983dd4bc5f2dc34af876d298533ed5e79fefb677a8b0ee47ebf82cc34a82f46a6aceb35b08240b6d6a7417b1da8de20b71713ec3674126041f53cc546230134c936d6963cc2f963ef2a7e25f1517fd384ca5e56f1430b03941', 17, 1796015532387052, 1796015556960475, NULL, '', NULL),
	(20, 'route', 'changes', 'file', '\x014fc42bde29e599628639e1bf652c6bab2eb67c300e87d2152842b427690817e7130e5e231833fad0c0fe4b1583f4d185190bfa14814d4b1e9a96c5ce3e2dfb7b85d2b04f22499a8ef919b520d854f1978b2ba2089b414d5f9b7cbbfd312872ba1b266c2d0f4c1665516be4c72f071509b99b2f0751b7636f78633f8a5576d4dd3eb8b8a618ed68e1dd6717e8d7b65fe009ae6e2e44c44a2462ad59222ac94a98744474b62cc5184f070fbb96273794226ee5c78844a529dcf2d3', 18, 1796015532387063, 1796015532387063, NULL, '', NULL),
	(21, 'route', 'leads', 'file', '\x01604953d356782afae6bbba7f6d00a743cbb306c73781f7e09e0b0b0a9b0b65348079e890553bf32d42e8a7bbfab43370435a6c3fb20ab6e108db3f8fa9aa3a6a1f3b8a9950cbfa6e201519d440de1eba477e3a24f982cb15ad3ae0eba32102f968e3aff3fb8a46be50988a6ca37044c43ff50c07f78b7dee3a980df9aac828a70c6f9572f984979774e25829de9ed3097dd1b987e4a02b8eb46182c934d23b06ff4fbf4cb7505ef04df3a21dec5549a9e562f91edff1927e41642cf77d14e8040a42f671526267b69b08a4fc23bee816c2ba732a3b97e5fea19d', 19, 1796015532387072, 1796015532387072, NULL, '', NULL),
	(22, 'route', 'app', 'file', '\x019dc67e48a23beed0df15384ff68944dfe55a4fd1c81df838447d96389ff84168126f84e8260c5d78399141f26ed9c5fb9784e8c78a7eeeec1c39bd5fa512d08c97c83253527ec5c3bf358d7ca3d277e7a22acbd09777e50692313e5647feaa3508ccfbb22731d4871081db3b7246a4df8550f77e039113f008dc048276ab9d7f5c896da9f480270b782600ce777fe1551763ef68c946c9742fb008856300f7a0affaa18f6aae19', 20, 1796015532387081, 1796015532387081, NULL, '', NULL),
	(23, 'route', 'ticks', 'file', '\x017129e69553079bf56150a444d72f385c3020789f2221ee5337bdcefc6f93863e1e1da3b3630f946f6cc9dd5e0d3ed077fb547d48eea7d4ff363f61dff5d71fadda5aa17bd52ea650eca879a47f17e2fce99df29f1e5816037fd0914a799328691ad39dc9bc2f295987c2c54fe3599a7ee05775781b2c8b9975f2fb7948fea6cb850ac8911f61ae0a495d12309f6874d9', 21, 1796015532387089, 1796015532387089, NULL, '', NULL),
	(24, 'route', 'late', 'file', '\x01aed811be9529a4e1b7ab0d0265d4b56c7356b09ce9e620c37e13516458277087dd5dc0d2b2da519db808afbf865bc9d483cbee8e5d1e3b9d0727282ccceb1d1337ffa95dd61f95f6bbfe1d7e03e94c5f6c8fd29d091995cca43f82346d124532fe17ab93316d5a7f8d35e8df03b1b49c2482504d4c78d47bb750edb9b2c8fe168d05d8f58ef22e029694c1dbc364009440eda835a0b236833d108bcc33297e2c1ad0d1ed4bc07a05dc53670862636aba6190', 22, 1796015532387097, 1796015556960560, NULL, '', NULL),
	(17, 'destination', 'leaver', 'file', '\x01433992257e862cb7ef23c7ce970d008a051ae37c0cddb53cc9403932f4f6a9c7a7a3bce983d1df88622d31063cbc46550d4d8d480bd4d8fde8b3a30d1c5c1e0b740b4b1db6cebd49df6366735ea81236dc2e780770ff9f4aee94419b7a2f235298095d3129bf895cef2d0dbc382f4e5bdb5d3fb1a7258d44df372533f9f673a7d4f1b9327f99a83bbe03bd5fe6e911d73486b2e35e8d045a9a874394f67af80e5cbac84f66d1206ff02c4f02296a093120c25630875d240289803ce91d3ae66de39d333b13fa159885b587b81b1425699d4d57686c4a1996387f4a65ab91', 16, 1796015532387031, 1796015556960582, 1796015556960582, 'left_file', NULL),
	(26, 'destination', 'billing', 'api', '\x010bfbb8f13fcc3a183f1b1c2fbca779709f7e8bd24e4f5a620e89f6b88205713d7a3b76329bc703020a85c847edd88e8f7c4055396ba811b745c5942d34331f4098f6fea3dbcad429e16e2793aeb1165955a6294333b91cbe20d7456973193c762ffbf3d25147464573a8b91a30ba145e5cd508232255af55f6c271aaa7f1fa945d3c79b0f3678ac94f7c685817470f0f37c90c7d92c862ec1017b957016022ff04249c79d68acbdf4bb96a1b37a1fb2ae3a690f6b21c05118217d0291a0eaccb9d2ba6048580ebbb7219b318393cd4f2c8ce5ff0fee49507339b45731d60bea5402bcecc5a6997040062261c5ae4c0ec97c298086d248f3a7bf34e4b86906ad1dc6ae0260037820a48a6764150bacfb224b79146911c1828099c48688df955fded61e4f9983f6a292838b923eaeb4c59bfca6bdd8ba1', 1000000, 1796015556986685, 1796015557247473, NULL, '', NULL),
	(28, 'route', 'billing', 'api', '\x012b4a450bd064a0309f5740d690ad32b2c792f93415eb86441535947b6b5a4331e7acd6377f1925f64e502a46db4ce8cb60297d14a18d5671de0a5ce08f1a31c2a058affcb6b9b08a29d659101ed2ed4a1c75a47ab5dd1cdb0ec39ee2126462bb0ea29c99a5be4b4bf9a6dd1c2a71129dc24f9e44dc8594070925aa388d173d96cf0480ddc9baa790a45b43d152b02b31d2ba26e54d89e08444a22e9c882b7b5893e4cc4b', 1000000, 1796015557100793, 1796015557293434, NULL, '', NULL),
	(27, 'destination', 'old', 'api', '\x01151fd6102b777ff9b2b8f27de421062971fcfcf83f5e543a154e42bb493956ceabe39e8db3742cb1885a9899b9b466b71fba0e32b5a3a98f2949dd8b2546b3d7b96826006f26b884b154370f553e786082d9df5a3e6fb951a55b0d1fd37b4e4bf049d7ad24f347a2bb5ff7da4d501fc7159fcfd11356ffbc1eb8cc9749625fe57efc6317c7cdbb14659cde779122255e9ba1afd067bdab746de9282f46113af46c8cf1b43a07a978a59fc1af2766308a1805b85e9fa7e55f266ea0fcf37bb3bfa6a99801494b3a3e2bb3ffd390025e9b193d599438c1eb4a39c5e1ae581b00a92949548659f656dfe069f12404d76be0f95cfe18b7dc3848', 1000000, 1796015557064487, 1796015557312376, 1796015557170730, 'operator', 1796015557312376);
INSERT INTO tidegate.keys VALUES
	('key_1k1extn36kvy6ar0pb5', 'reader', '\x22fdb18fdebdc555bd0000943b661e195b577f11ed334b8352cb69a8b67e30bb', 'read', 'shop', 1796015557548667, NULL),
	('key_1k1extn3nq0e5q5t6h2', 'publisher', '\xc85c1ebd0e66e86f328de536cd570f87ecf525ac3677d0bc3bbc8cfac4b6971e', 'publish', 'app', 1796015557564128, 1827551557563786),
	('key_1k1extn40e1nw4d821w', 'operator', '\x2c57d9db924339b4ef9b291e63f5544b6620c09bbdccadf6f7da7ddf92bccaa9', 'read pull write', '', 1796015557575105, NULL);
INSERT INTO tidegate.lanes VALUES
	(9, NULL, '\x', 4, 0, 0, 0, 0, 1),
	(6, NULL, '\x', 4, 0, 0, 0, 0, 1),
	(12, 31, '\x', 0, 0, 0, 0, 0, 1),
	(13, NULL, '\x', 1, 0, 0, 0, 0, 1),
	(26, NULL, '\x', 0, 0, 0, 0, 0, 1),
	(27, NULL, '\x', 0, 0, 3, 0, 0, 1),
	(8, NULL, '\x', 0, 0, 1, 0, 0, 1),
	(11, 30, '\x0c00000000000000', 0, 0, 1, 0, 0, 1),
	(7, NULL, '\x', 4, 0, 0, 0, 0, 1),
	(17, NULL, '\x', 0, 0, 0, 0, 0, 1),
	(10, NULL, '\x', 0, 2, 0, 0, 0, 1),
	(14, NULL, '\x', 13, 0, 0, 0, 0, 1),
	(15, NULL, '\x', 7, 0, 0, 7, 0, 1),
	(16, NULL, '\x', 0, 14, 0, 0, 0, 1);
INSERT INTO tidegate.log_state VALUES
	(true, 0);
INSERT INTO tidegate.nodes VALUES
	('vm-a6ee3e', 1, 42, '2026-11-30 05:12:12.430332+00', '2026-11-30 05:14:15.829996+00', '\x7b7d', 1, 2);
INSERT INTO tidegate.ranges VALUES
	(27, 39, 42, 'cancelled', 'destination_deleted', 1796015557330941),
	(16, 10, 42, 'exhausted', 'expired', 1796015652664714);
INSERT INTO tidegate.records VALUES
	('shop', 'prices', 'p2', '\x02fad65d2bb808f86d7b4b277cddb406', NULL, 1, 3, 1796015533348127, 1796015533882053, 1796015533887291, false, '\x7b226964223a227032222c226e6f7465223a225c7530303030227d'),
	('shop', 'prices', 'p3', '\x74863bc3d4ed605e4a8bba07ccfe6da6', NULL, 1, 3, 1796015533348127, 1796015533882053, 1796015533887291, false, '\x7b226964223a227033222c226e6f7465223a225c7530303030227d'),
	('shop', 'orders', 'o2', '\x97c311b9fafbad5565579f8b228d078f', '2026-11-20T10:00:02Z', 1, 4, 1796015534293073, 1796015534294057, 1796015534297419, false, '\x7b226964223a226f32222c22746f74616c223a32302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30325a227d'),
	('shop', 'customers', 'c2', '\x9e50a594e7c737583effebf132b0437d', '2026-11-20T11:00:02Z', 1, 3, 1796015534402982, 1796015534404098, 1796015534404696, false, '\x7b226964223a226332222c226e616d65223a22437573746f6d65722032222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30325a227d'),
	('shop', 'customers', 'c3', '\xae088b00e67ad34303277f5eeffa6768', '2026-11-20T11:00:03Z', 1, 3, 1796015534402982, 1796015534404098, 1796015534404696, false, '\x7b226964223a226333222c226e616d65223a22437573746f6d65722033222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30335a227d'),
	('shop', 'customers', 'c4', '\xba031e0bc39ed49c42f9fffb28d042d5', '2026-11-20T11:00:04Z', 1, 3, 1796015534402982, 1796015534404098, 1796015534404696, false, '\x7b226964223a226334222c226e616d65223a22437573746f6d65722034222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30345a227d'),
	('shop', 'orders', 'o1', '\x9a7e1c11be9894eb90e5bb85365cd483', '2026-11-20T10:00:09Z', 2, 0, 1796015534510699, 1796015534510699, 1796015534520450, false, '\x7b226964223a226f31222c22746f74616c223a3135302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30395a227d'),
	('shop', 'orders', 'o9', '\xcae66941d9efbd404e4d88758ea67670', NULL, 1, 0, 1796015534554438, 1796015534555366, 1796015534556118, true, '\x6e756c6c'),
	('shop', 'orders', 'o3', '\x38d161a33659cca1ea4b1b0e069875d3', '2026-11-20T10:00:03Z', 2, 0, 1796015534540109, 1796015534540109, 1796015534561714, true, '\x7b226964223a226f33222c22746f74616c223a33302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30335a227d'),
	('shop', 'customers', 'c1', '\xb8890ea8292a91c2b4d9ef1ad2f8e0d2', '2026-11-21T08:00:00Z', 2, 3, 1796015534707407, 1796015534710014, 1796015534710746, false, '\x7b226964223a226331222c226e616d65223a22416e6e2042222c22757064617465645f6174223a22323032362d31312d32315430383a30303a30305a227d'),
	('shop', 'orders', 'o4', '\x73e03e70bd150e62510eb0286412e4cd', '2026-11-22T10:00:00Z', 2, 5, 1796015534734968, 1796015534737950, 1796015534739030, false, '\x7b226964223a226f34222c22746f74616c223a34352c22757064617465645f6174223a22323032362d31312d32325431303a30303a30305a227d'),
	('shop', 'customers', 'c5', '\xb082e06463cd844f6117a9c8508dad71', '2026-11-20T11:00:05Z', 2, 3, 1796015556794884, 1796015556862677, 1796015556862910, true, '\x7b226964223a226335222c226e616d65223a22437573746f6d65722035222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30355a227d'),
	('shop', 'prices', 'p1', '\xd1537b33f1fe017d82ff798a27933db4', NULL, 2, 3, 1796015556881722, 1796015556882223, 1796015556882688, false, '\x7b22616d6f756e74223a31322c226964223a227031222c226e6f7465223a225c7530303030227d');
INSERT INTO tidegate.refusals OVERRIDING SYSTEM VALUE VALUES
	(1, 1796015534565635, 'shop', 'signature_wrong', '99 bytes', '127.0.0.1'),
	(2, 1796015534570306, 'shop', 'signature_missing', '2 bytes', '127.0.0.1'),
	(3, 1796015534575413, 'raw', 'too_large', 'content-length 2000', '127.0.0.1'),
	(4, 1796015534614106, 'leads', 'honeypot', 'the field ''website'' was filled', '127.0.0.1');
INSERT INTO tidegate.replays VALUES
	('rpl_1k1extmj3gr90nzpp3a', 1796015556988440, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a226c617465222c227479706573223a6e756c6c2c2273696e63655f7573223a6e756c6c2c22756e74696c5f7573223a6e756c6c2c227374617465223a226e657665725f6f776564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 39, 39, 7, 7, 1796015557098226, ''),
	('rpl_1k1extn2hdx6mtsp2kf', 1796015557526973, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a22706172746e6572222c227479706573223a6e756c6c2c2273696e63655f7573223a6e756c6c2c22756e74696c5f7573223a6e756c6c2c227374617465223a22657868617573746564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 42, 42, 2, 2, 1796015557537048, ''),
	('rpl_1k1extn2s4byej023zy', 1796015557534859, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a226175646974222c227479706573223a6e756c6c2c2273696e63655f7573223a6e756c6c2c22756e74696c5f7573223a6e756c6c2c227374617465223a2263616e63656c6c6564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 42, 42, 0, 0, 1796015557548284, ''),
	('rpl_1k1exxg5m1jhc931jkd', 1796015653048370, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a22646f776e222c227479706573223a6e756c6c2c2273696e63655f7573223a6e756c6c2c22756e74696c5f7573223a6e756c6c2c227374617465223a2263616e63656c6c6564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 0, 42, 0, 0, NULL, ''),
	('rpl_1k1exxg5mg2hjrqgfjq', 1796015653048834, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a2263726d222c227479706573223a6e756c6c2c2273696e63655f7573223a313739363031353533333838373239312c22756e74696c5f7573223a6e756c6c2c227374617465223a2264656c697665726564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 14, 42, 0, 0, NULL, '');
INSERT INTO tidegate.resource_states VALUES
	('shop', 'customers', '2026-11-21T08:00:00Z', '"f487fef8"', NULL, true, 0, 1796015556868031, NULL, 1796015556866534, '\x7b2273696e63655f7573223a313739363031353533323636313739352c227265717565737473223a342c226279746573223a313038312c22706f6c6c73223a342c22656d7074795f706f6c6c73223a322c226368616e676573223a322c2275706461746564223a312c2264656c65746564223a312c2262795f6f726967696e223a7b22706f6c6c223a327d2c227363616e73223a332c226c6173745f706f6c6c5f61745f7573223a313739363031353535363836383033312c226c6173745f6368616e67655f61745f7573223a313739363031353535363836323931302c227374616c656e657373223a7b22706f6c6c223a5b3736373533342e3731315d7d7d', '\x7b22626567756e223a747275652c227375737065637473223a5b226334225d2c2276616c696461746564223a22306531633139333065353463316533353865303261626565227d', 1),
	('shop', 'prices', NULL, '"8e766733"', NULL, true, 0, 1796015556891406, NULL, 1796015556877892, '\x7b2273696e63655f7573223a313739363031353533323630313937332c227265717565737473223a362c226279746573223a3333372c22706f6c6c73223a362c22656d7074795f706f6c6c73223a332c226661696c65645f706f6c6c73223a312c226e6f745f6d6f646966696564223a312c226572726f7273223a322c226368616e676573223a342c2263726561746564223a332c2275706461746564223a312c2262795f6f726967696e223a7b22706f6c6c223a347d2c227363616e73223a332c226272616b6564223a312c226c6173745f6572726f72223a22706167652031206f6620687474703a2f2f3132372e302e302e313a34313136312f7072696365733a2074686520736f7572636520616e73776572656420353030222c226c6173745f6572726f725f61745f7573223a313739363031353535363839373136392c226661696c696e675f73696e63655f7573223a313739363031353535363839373136392c226c6173745f706f6c6c5f61745f7573223a313739363031353535363839373136392c226c6173745f6368616e67655f61745f7573223a313739363031353535363838323638387d', '\x7b22626567756e223a747275652c2276616c696461746564223a22353636383331666635646630653831373034666166356464227d', 1),
	('shop', 'orders', NULL, NULL, NULL, true, 27, NULL, 1796015534312293, 1796015534311456, '\x7b2273696e63655f7573223a313739363031353533323539303632382c227265717565737473223a332c226279746573223a3239332c22706f6c6c73223a312c226572726f7273223a312c226368616e676573223a372c2263726561746564223a342c2275706461746564223a322c2264656c65746564223a312c2262795f6f726967696e223a7b227265636f6e63696c65223a342c22776562686f6f6b223a322c2270756c6c223a317d2c22776562686f6f6b73223a342c2266657463685f6261636b73223a322c227363616e73223a312c226c6173745f6572726f72223a226974656d20276f32273a2074686520736f7572636520616e73776572656420353030222c226c6173745f6572726f725f61745f7573223a313739363031353533343538363139392c226c6173745f706f6c6c5f61745f7573223a313739363031353533343331323239332c226c6173745f6368616e67655f61745f7573223a313739363031353533343733393033302c227374616c656e657373223a7b227265636f6e63696c65223a5b3834363733332e3239372c3834363733322e3239372c3834363733312e3239372c3834363733302e3239375d2c22776562686f6f6b223a5b3834363732352e35325d2c2270756c6c223a5b3637333933342e3733395d7d7d', '\x7b22626567756e223a747275652c226469727479223a7b226f32223a5b313739363031353533343535383231382c22776562686f6f6b225d7d2c2276616c696461746564223a22323263616561363431303435326232656136323634636338227d', 1);
INSERT INTO tidegate.route_revisions OVERRIDING SYSTEM VALUE VALUES
	(1, 'webhooks', '\xcf604d1de3a69c2381fed092ef803d06', '\x0139b2dbb2d0be7b942fe9cfdea6dc07cc064feacdfedb1e6745b44dced1f9019f8957c8edddced5f1e15e6387fb8c9dfb35b8669cf1224a766d2a15832f9d04932600f0d542bddbc880c5a1c604fe4a7a1cb058e8cee3bf3fb1fd1218b4739ac1c408395a023b7be2de050190529a63335870be2caa97fffe8aaf81e23035dcecb7bef3944e70086bfed4c48408fae7e8a2dda2020055e9b0238156829e672317b487407bc3d37cbc53f613d135e25d'),
	(2, 'big', '\xb819625522047f3ba776e73d51bccb41', '\x015d83301877aa008874b80d1c8025288c9df24a46a9b5799b7428dccc9b7af29e72e958c6c84bcede40222a00d88e15825eb8677b40adb2e5dc7fbc044745baece16874bec7c8734f3e7c952749c09d657aefef23b91822b33a699de7027272a2e11c7f9bf3333c7750665958f0d433ddea421c61e0068f135e502bbcb2a88e049a15acf387ce4376b166dbdb081c1c6ec6f8b2867b3f1dbd0a877fe34e03c2839c8851df08fe2dcc8143113fb298bd90e9590afcb1544c47e2bb2125e997da51facf4de1a5ddea7ad53234581590bb80fa14709d14bf56436f'),
	(3, 'changes', '\xc3c7a993f35b1400ba09ce6bf98aefe9', '\x01d049c4a0dc7e0c2f4ff0ce5793c7a25c5e1a3a9899ce428087826b35723d0417e01db99a34fcacdb7034afc74456dd3f80b6a124ea2f143dd859b7855d8472a5ff83ca203fddec2c6456893559668c9c4b98964fd69f044cf3f0624d0fd4682807211597cc4f0cd8d4818c4128fde0fa976f122a8515181e4d93dc1478564155ddb0d0a672d0840fd918204bc4705df9df74620111e601c17e03607886254d1e0f6696be4641034cc42a4c915052bb7e3769913f626d0d7d02314cb1'),
	(4, 'leads', '\x7e06d3f509a0541496035077c1efceb9', '\x0118c0e56ee5d561443973342ece8cd50159400edf801163acffc42a27a405c6331c6e2f6c71803766e663712db0c31ddc8c9f58e0ebae8681f9b6ecb65797d4aaa8880806fcce55cfbbd3f30ff91c20d9e7734c72bb88de8b23c0eee45aef845553afc261967dd0eb4f480911f421980d0d1157610c1173ecd72aee4b78258e8606d0e544b6c8d5870e3f2d30792e80fe1c432ab092d0a72d894294be7dc66cbcc2aa4fa7efd53bbf2ebfe045f262d7bb9106497cd3a6cddeb13dfc96cd99dbee930a28d36b0e4b367d1f257d8c57b1e63dd1c90b51b106696bb46a70600e24'),
	(5, 'app', '\xf1a053480225eba8fb61d8474cf29028', '\x010d2d2eb0451df8bb9639b0bf6ca10fc16b6c4d2c5a11ab70ecd39b8f4d7bc3dc062f831857a70e9c5ee801849b8a3df266b6b624ae6c2711eac77968d68b31a5d14db4508cf36134e978b43a66c09303c1fdcd61e4e3d6a107f6a7505abeb70c19b1be7b01a8b7bdef24c5c23b377784e03369799b0f9a93babad00f5d399f89b9514240298e271b63a273df00dba9cd4fa28278dc87e81d5033bcfc3c670accfa242ef4a0c75fef8bd5e0e5f59481ac'),
	(6, 'ticks', '\x2e222b98d87853e897ab5f0d410974fd', '\x0193fed896a09b7f12261f325ced372fa341d2b952d2a6ba48a3d93b6abc4540c59a6053bca78aa3aea0bdd9d44a905cc69d01467068561d01e79a3e9308fe24e54674ce64551e19b3e17b560f7e741cb841e7dc730644e27df6e6a5026b18efb26dd15d52b60f046782e43a64f1e391f646ea7db2a1e4aabcabf60c02bee3796c826b1c3c63485d67a17512a920a3a4f70c02'),
	(7, 'late', '\x2964485af2b5e7738c6b3e17538eb5a8', '\x01b58f55707ff4985c9dab524428c68468e3e699fa64b05c24853b3bf927fa8dc6fb83d7fed4908e1aaa4b3da58ad5a42e9179f5e1cc80429efd46ef5957e3500935840964e579b71a5e9e31de6adbe56fccc0ae7c87c600a3ae29737d762628cd62d8ca244a228c0b44adfb3bce5cddffd5ea25ac1041e2aa1a353d4fc00de071de77ba6c98797b49774c3e905a4b42f34bd7de04c0e69a5fbb886eb2cd29f0cbcb33ba933be529f4a7f5a08d3fa8c117aca0e95e3a47912abaa3912e0330a6ea14eb9a02'),
	(8, 'leaver', '\xcbf95a0d3fd077c0cb9b147f7dd8646b', '\x01ccfb444b0a6293f4736529ddd31ee37e4df15c94378141e14d38222d7f8c90796ea026fd894ab0827ea06fcbf031f7d9672f7f6be4e925976871191b714663d7bf09f17c2f3646bd5302e6d714019aa7fc7bf48361692b07318c28618803875cdb377cc5f7eda81e8b7fb9e0f186999982d6cee4a77b8ec41d7b0b800f67f3107eaf096f2305764f1ee4d27c644886e4b460'),
	(9, 'big', '\xb38dc9856d6574a49cb334880905d8c9', '\x01859276fc0d2683ba02017e1d7b68448b8efa326ee103b29d23a13eec107f1bf51f0ff95ee89b44a5757de312400ee1a15196c577759d59887c98255930a188dfd383d9f14b5ec1a92ba2f2f5218b45b651bc781be440caa7dc539ff6ed3cf818f00b0d00c94981fc30477ed875e87107b1cc183717c2e91d19d0f4b2f5ba1fb931b6486c53ec9622420899c66b00b28395a95434474d3acc10b290efd2cde551bb383bfa3cb6c676db0deda28ef4ac668fd4b96f7fbfa139e830ec3a27b15ee7c59a2eee8525afd002e3f9518e6f7c58cdf742784e61c1699e02'),
	(10, 'late', '\xa513f9c726731719af2cf595a0e76dba', '\x0132a7dcf23f1778c94f39cbb548d25c2c79d78b01f7265de076c5b6ba611406b53164ebe5a0c3ab46b736af09183ad386c5459d07224e52795004cd6951d152f9d213767c35131c8a10a7708b1ef13086a9ff5bac874bedf8369cc3cfe23bdc9d25764d351a513cc3539cff49c937931b2a01b2ccfcc9332cc54c1aa3f5cd6899b87d0e73f90d4f4bec0ad1ee1af8503d2a03131f34b444acba4d2adde3019589cef3b4da23436294d6e6c52777bae76307600ab4'),
	(11, 'billing', '\x20ad9e82fa62a5acbf7ff4191a50f15d', '\x0101c92f2c61cc22caeffd0e42b14121b0869a888f30b2de86c821914d34cfe67e9920b7755f73f6a4e1ee231df9db8986ef54721ae8aee042bd786a5d013c94643d25878c0b5b95d4c5a9c5c11df4c04fccd67c9bdaa60796e109d55a5699f361028231c895127db5ea72bf1d757e16822ea832cddaf6bee73c95210fa63fb1bd26ba3beef0558bcf5f423a9867330b000255619d047b5825f5069fe9d2edf125a13bee7e2cd610e433b81cb3ab4df39d30'),
	(12, 'billing', '\x28b462e0d8b8d485a98027582bdb7231', '\x0122eeeac6354fecdd149649569e7f383045062e7e0a2538ef5bf4009e4550a37785baefec1e15acd04d86f8fedcea59f97f20388d3246b6766e92f3670854587cbc4aad34a317b7b605ff4df6b9829b911f03a953aaa7e2e0eb6c556eea454b7a21f230bbc35fe3c84e965826688d4f3a37e55a7768a5cf19e22930f8eee4e26aace4db9cb15755c693872cbf8d973c19ca04124e1623f8af98c55e45a9d2e9f46c51cff8d7d8');
INSERT INTO tidegate.schema_version VALUES
	(1, 1, '2026-11-30 05:12:12.192669+00'),
	(2, 2, '2026-11-30 05:12:12.192669+00');
INSERT INTO tidegate.settings VALUES
	('instance', '\x7a376d347a63'),
	('value:vault_check', '\x01b75edfde6e624ae5c1479625ffcd02357cf6ea4ff85d95188d147f59d292a990cf80969634889308a9c259acd8cdb4852b9393312e3ef9aec3f4a8b3f11b53d5c46073ea5114a6fd0292fbdce5f045020237acd70a3115fb10879b6d11577a22'),
	('value:started:15', '\x31'),
	('settings_version', '\x3236'),
	('value:sessions', '\x5b7b2268617368223a227563736e78514c644e695139527a7a413668795844706b50706e506e70473050547331664f695572726b513d222c22637265617465645f61745f7573223a313739363031353535373539303432372c22657870697265735f61745f7573223a313739373232353135373539303432377d5d');
INSERT INTO tidegate.shares VALUES
	(0, 'vm-a6ee3e', NULL),
	(1, 'vm-a6ee3e', NULL),
	(2, 'vm-a6ee3e', NULL),
	(3, 'vm-a6ee3e', NULL),
	(4, 'vm-a6ee3e', NULL),
	(5, 'vm-a6ee3e', NULL),
	(6, 'vm-a6ee3e', NULL),
	(7, 'vm-a6ee3e', NULL),
	(8, 'vm-a6ee3e', NULL),
	(9, 'vm-a6ee3e', NULL),
	(10, 'vm-a6ee3e', NULL),
	(11, 'vm-a6ee3e', NULL),
	(12, 'vm-a6ee3e', NULL),
	(13, 'vm-a6ee3e', NULL),
	(14, 'vm-a6ee3e', NULL),
	(15, 'vm-a6ee3e', NULL),
	(16, 'vm-a6ee3e', NULL),
	(17, 'vm-a6ee3e', NULL),
	(18, 'vm-a6ee3e', NULL),
	(19, 'vm-a6ee3e', NULL),
	(20, 'vm-a6ee3e', NULL),
	(21, 'vm-a6ee3e', NULL),
	(22, 'vm-a6ee3e', NULL),
	(23, 'vm-a6ee3e', NULL),
	(24, 'vm-a6ee3e', NULL),
	(25, 'vm-a6ee3e', NULL),
	(26, 'vm-a6ee3e', NULL),
	(27, 'vm-a6ee3e', NULL),
	(28, 'vm-a6ee3e', NULL),
	(29, 'vm-a6ee3e', NULL),
	(30, 'vm-a6ee3e', NULL),
	(31, 'vm-a6ee3e', NULL),
	(32, 'vm-a6ee3e', NULL),
	(33, 'vm-a6ee3e', NULL),
	(34, 'vm-a6ee3e', NULL),
	(35, 'vm-a6ee3e', NULL),
	(36, 'vm-a6ee3e', NULL),
	(37, 'vm-a6ee3e', NULL),
	(38, 'vm-a6ee3e', NULL),
	(39, 'vm-a6ee3e', NULL),
	(40, 'vm-a6ee3e', NULL),
	(41, 'vm-a6ee3e', NULL),
	(42, 'vm-a6ee3e', NULL),
	(43, 'vm-a6ee3e', NULL),
	(44, 'vm-a6ee3e', NULL),
	(45, 'vm-a6ee3e', NULL),
	(46, 'vm-a6ee3e', NULL),
	(47, 'vm-a6ee3e', NULL),
	(48, 'vm-a6ee3e', NULL),
	(49, 'vm-a6ee3e', NULL),
	(50, 'vm-a6ee3e', NULL),
	(51, 'vm-a6ee3e', NULL),
	(52, 'vm-a6ee3e', NULL),
	(53, 'vm-a6ee3e', NULL),
	(54, 'vm-a6ee3e', NULL),
	(55, 'vm-a6ee3e', NULL),
	(56, 'vm-a6ee3e', NULL),
	(57, 'vm-a6ee3e', NULL),
	(58, 'vm-a6ee3e', NULL),
	(59, 'vm-a6ee3e', NULL),
	(60, 'vm-a6ee3e', NULL),
	(61, 'vm-a6ee3e', NULL),
	(62, 'vm-a6ee3e', NULL),
	(63, 'vm-a6ee3e', NULL);
INSERT INTO tidegate.spans VALUES
	(0, '2026-11-30 05:12:12.192669+00'),
	(1, NULL);
SELECT pg_catalog.setval('tidegate.audiences_number_seq', 8, true);
SELECT pg_catalog.setval('tidegate.event_offset', 42, true);
SELECT pg_catalog.setval('tidegate.items_number_seq', 28, true);
SELECT pg_catalog.setval('tidegate.node_fence', 1, true);
SELECT pg_catalog.setval('tidegate.refusals_number_seq', 4, true);
SELECT pg_catalog.setval('tidegate.route_revisions_revision_seq', 12, true);
ALTER TABLE ONLY tidegate.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY ("offset", destination, number);
ALTER TABLE ONLY tidegate.attempts_0
    ADD CONSTRAINT attempts_0_pkey PRIMARY KEY ("offset", destination, number);
ALTER TABLE ONLY tidegate.attempts_1
    ADD CONSTRAINT attempts_1_pkey PRIMARY KEY ("offset", destination, number);
ALTER TABLE ONLY tidegate.audiences
    ADD CONSTRAINT audiences_digest_key UNIQUE (digest);
ALTER TABLE ONLY tidegate.audiences
    ADD CONSTRAINT audiences_pkey PRIMARY KEY (number);
ALTER TABLE ONLY tidegate.dedupe
    ADD CONSTRAINT dedupe_pkey PRIMARY KEY (key);
ALTER TABLE ONLY tidegate.events
    ADD CONSTRAINT events_pkey PRIMARY KEY ("offset");
ALTER TABLE ONLY tidegate.events_0
    ADD CONSTRAINT events_0_pkey PRIMARY KEY ("offset");
ALTER TABLE ONLY tidegate.events_1
    ADD CONSTRAINT events_1_pkey PRIMARY KEY ("offset");
ALTER TABLE ONLY tidegate.exceptions
    ADD CONSTRAINT exceptions_pkey PRIMARY KEY (destination, "offset");
ALTER TABLE ONLY tidegate.feeds
    ADD CONSTRAINT feeds_pkey PRIMARY KEY (name);
ALTER TABLE ONLY tidegate.items
    ADD CONSTRAINT items_pkey PRIMARY KEY (number);
ALTER TABLE ONLY tidegate.keys
    ADD CONSTRAINT keys_hash_key UNIQUE (hash);
ALTER TABLE ONLY tidegate.keys
    ADD CONSTRAINT keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tidegate.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (destination);
ALTER TABLE ONLY tidegate.log_state
    ADD CONSTRAINT log_state_pkey PRIMARY KEY (one);
ALTER TABLE ONLY tidegate.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tidegate.ranges
    ADD CONSTRAINT ranges_pkey PRIMARY KEY (destination, upto);
ALTER TABLE ONLY tidegate.records
    ADD CONSTRAINT records_pkey PRIMARY KEY (source, resource, key);
ALTER TABLE ONLY tidegate.refusals
    ADD CONSTRAINT refusals_pkey PRIMARY KEY (number);
ALTER TABLE ONLY tidegate.replays
    ADD CONSTRAINT replays_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tidegate.resource_states
    ADD CONSTRAINT resource_states_pkey PRIMARY KEY (source, resource);
ALTER TABLE ONLY tidegate.route_revisions
    ADD CONSTRAINT route_revisions_name_digest_key UNIQUE (name, digest);
ALTER TABLE ONLY tidegate.route_revisions
    ADD CONSTRAINT route_revisions_pkey PRIMARY KEY (revision);
ALTER TABLE ONLY tidegate.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY tidegate.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (name);
ALTER TABLE ONLY tidegate.shares
    ADD CONSTRAINT shares_pkey PRIMARY KEY (number);
ALTER TABLE ONLY tidegate.spans
    ADD CONSTRAINT spans_pkey PRIMARY KEY (number);
CREATE INDEX events_by_audience ON ONLY tidegate.events USING btree (audience, "offset");
CREATE INDEX events_0_audience_offset_idx ON tidegate.events_0 USING btree (audience, "offset");
CREATE INDEX events_by_key ON ONLY tidegate.events USING btree (hashtextextended(key, (0)::bigint), "offset") WHERE (key IS NOT NULL);
CREATE INDEX events_0_hashtextextended_offset_idx ON tidegate.events_0 USING btree (hashtextextended(key, (0)::bigint), "offset") WHERE (key IS NOT NULL);
CREATE INDEX events_1_audience_offset_idx ON tidegate.events_1 USING btree (audience, "offset");
CREATE INDEX events_1_hashtextextended_offset_idx ON tidegate.events_1 USING btree (hashtextextended(key, (0)::bigint), "offset") WHERE (key IS NOT NULL);
CREATE INDEX exceptions_by_event ON tidegate.exceptions USING btree ("offset");
CREATE INDEX exceptions_due ON tidegate.exceptions USING btree (destination, due_at, "offset") WHERE (state = 0);
CREATE UNIQUE INDEX items_by_name ON tidegate.items USING btree (kind, name) WHERE (deleted_at IS NULL);
CREATE INDEX records_by_change ON tidegate.records USING btree (source, resource, changed_at);
ALTER INDEX tidegate.attempts_pkey ATTACH PARTITION tidegate.attempts_0_pkey;
ALTER INDEX tidegate.attempts_pkey ATTACH PARTITION tidegate.attempts_1_pkey;
ALTER INDEX tidegate.events_by_audience ATTACH PARTITION tidegate.events_0_audience_offset_idx;
ALTER INDEX tidegate.events_by_key ATTACH PARTITION tidegate.events_0_hashtextextended_offset_idx;
ALTER INDEX tidegate.events_pkey ATTACH PARTITION tidegate.events_0_pkey;
ALTER INDEX tidegate.events_by_audience ATTACH PARTITION tidegate.events_1_audience_offset_idx;
ALTER INDEX tidegate.events_by_key ATTACH PARTITION tidegate.events_1_hashtextextended_offset_idx;
ALTER INDEX tidegate.events_pkey ATTACH PARTITION tidegate.events_1_pkey;
