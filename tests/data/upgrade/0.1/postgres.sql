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
	(1, 16, 1, 3, 1796015833457855, 537, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(2, 16, 1, 3, 1796015833468524, 332, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(3, 16, 1, 3, 1796015833471727, 237, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(4, 16, 1, 3, 1796015833476147, 267, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(5, 16, 1, 3, 1796015833498035, 266, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(6, 16, 1, 3, 1796015833500122, 230, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(7, 16, 1, 3, 1796015833504090, 1936, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(8, 16, 1, 3, 1796015833508072, 245, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(9, 16, 1, 3, 1796015833512067, 226, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(10, 16, 1, 3, 1796015833516370, 242, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(1, 16, 2, 3, 1796015834827157, 3969, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(12, 14, 1, 0, 1796015834851450, 5765, 200, '', '\x', '\x616e0a', 3, '', false),
	(13, 14, 1, 0, 1796015834851618, 5778, 200, '', '\x', '\x616e0a', 3, '', false),
	(14, 14, 1, 0, 1796015834851677, 5764, 200, '', '\x', '\x616e0a', 3, '', false),
	(15, 14, 1, 0, 1796015834853753, 7561, 200, '', '\x', '\x616e0a', 3, '', false),
	(16, 14, 1, 0, 1796015834853894, 7549, 200, '', '\x', '\x616e0a', 3, '', false),
	(17, 14, 1, 0, 1796015834853962, 7545, 200, '', '\x', '\x616e0a', 3, '', false),
	(18, 14, 1, 0, 1796015834854016, 7530, 200, '', '\x', '\x616e0a', 3, '', false),
	(19, 6, 1, 0, 1796015835277551, 4146, 200, '', '\x', '\x616e0a', 3, '', false),
	(19, 7, 1, 1, 1796015835277737, 4112, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/flaky', false),
	(19, 10, 1, 1, 1796015835277793, 4180, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/partner', false),
	(20, 14, 1, 0, 1796015835298215, 285, 200, '', '\x', '\x616e0a', 3, '', false),
	(21, 6, 1, 0, 1796015835301561, 419, 200, '', '\x', '\x616e0a', 3, '', false),
	(21, 7, 1, 1, 1796015835301713, 350, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/flaky', false),
	(22, 6, 1, 0, 1796015835310576, 3128, 200, '', '\x', '\x616e0a', 3, '', false),
	(22, 7, 1, 1, 1796015835310694, 3111, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/flaky', false),
	(23, 6, 1, 0, 1796015835322386, 1013, 200, '', '\x', '\x616e0a', 3, '', false),
	(23, 7, 1, 1, 1796015835322483, 999, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/flaky', false),
	(24, 14, 1, 0, 1796015835330149, 3200, 200, '', '\x', '\x616e0a', 3, '', false),
	(27, 10, 1, 1, 1796015835367319, 330, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/partner', false),
	(27, 13, 1, 0, 1796015835367620, 284, 200, '', '\x', '\x616e0a', 3, '', false),
	(19, 7, 2, 0, 1796015835367801, 204, 200, '', '\x', '\x616e0a', 3, '', false),
	(28, 8, 1, 1, 1796015835403327, 2066, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/down', false),
	(28, 9, 1, 1, 1796015835403486, 2054, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/ledger', false),
	(28, 12, 1, 1, 1796015835403570, 2044, 410, 'answered 410', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/gone', false),
	(28, 17, 1, 1, 1796015835403624, 2362, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/leaver', false),
	(21, 7, 2, 0, 1796015835407557, 365, 200, '', '\x', '\x616e0a', 3, '', false),
	(29, 8, 1, 1, 1796015835414610, 2296, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/down', false),
	(29, 17, 1, 1, 1796015835414764, 2306, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/leaver', false),
	(22, 7, 2, 0, 1796015835419720, 2865, 200, '', '\x', '\x616e0a', 3, '', false),
	(23, 7, 2, 0, 1796015835434243, 2023, 200, '', '\x', '\x616e0a', 3, '', false),
	(30, 8, 1, 1, 1796015835434600, 1693, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/down', false),
	(30, 17, 1, 1, 1796015835434745, 1673, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/leaver', false),
	(31, 8, 1, 1, 1796015835442000, 1596, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/down', false),
	(31, 9, 1, 0, 1796015835442147, 1564, 200, '', '\x', '\x616e0a', 3, '', false),
	(31, 17, 1, 1, 1796015835442215, 1549, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/leaver', false),
	(32, 8, 1, 1, 1796015835448152, 212, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/down', false),
	(32, 9, 1, 1, 1796015835448297, 272, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/ledger', false),
	(32, 17, 1, 1, 1796015835448368, 261, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/leaver', false),
	(33, 14, 1, 0, 1796015835458455, 2230, 200, '', '\x', '\x616e0a', 3, '', false),
	(34, 14, 1, 0, 1796015835477041, 358, 200, '', '\x', '\x616e0a', 3, '', false),
	(7, 16, 2, 3, 1796015836831451, 425, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(4, 16, 2, 3, 1796015840832430, 311, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(9, 16, 2, 3, 1796015848833253, 449, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(35, 14, 1, 0, 1796015857524107, 3291, 200, '', '\x', '\x616e0a', 3, '', false),
	(36, 14, 1, 0, 1796015857581759, 3213, 200, '', '\x', '\x616e0a', 3, '', false),
	(25, 15, 1, 0, 1796015857708191, 10311, 200, '', '\x', '\x616e0a', 3, '', false),
	(26, 15, 1, 0, 1796015857708315, 10306, 200, '', '\x', '\x616e0a', 3, '', false),
	(28, 15, 1, 0, 1796015857708357, 10233, 200, '', '\x', '\x616e0a', 3, '', false),
	(29, 15, 1, 0, 1796015857708455, 10203, 200, '', '\x', '\x616e0a', 3, '', false),
	(30, 15, 1, 0, 1796015857708501, 10180, 200, '', '\x', '\x616e0a', 3, '', false),
	(31, 15, 1, 0, 1796015857708543, 10155, 200, '', '\x', '\x616e0a', 3, '', false),
	(32, 15, 1, 0, 1796015857708585, 10131, 200, '', '\x', '\x616e0a', 3, '', false),
	(37, 26, 1, 3, 1796015857806467, 381, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/billing', false),
	(37, 8, 1, 1, 1796015857806227, 2603, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/down', false),
	(37, 9, 1, 0, 1796015857806396, 2617, 200, '', '\x', '\x616e0a', 3, '', false),
	(38, 26, 1, 3, 1796015857812274, 368, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/billing', false),
	(38, 8, 1, 1, 1796015857812007, 3489, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/down', false),
	(38, 9, 1, 0, 1796015857812194, 3554, 200, '', '\x', '\x616e0a', 3, '', false),
	(39, 26, 1, 3, 1796015857819014, 332, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/billing', false),
	(39, 8, 1, 1, 1796015857818751, 3663, 503, 'answered 503', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/down', false),
	(39, 9, 1, 0, 1796015857818915, 3642, 200, '', '\x', '\x616e0a', 3, '', false),
	(27, 10, 2, 1, 1796015858079500, 2113, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/partner', true),
	(3, 16, 2, 3, 1796015894849795, 328, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(19, 10, 2, 1, 1796015858098647, 7576, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/partner', false),
	(27, 10, 3, 1, 1796015858098774, 7467, 500, 'answered 500', '\x5b5b22636f6e74656e742d74797065222c22746578742f706c61696e225d2c5b22636f6e74656e742d6c656e677468222c2233225d5d', '\x616e0a', 3, 'http://127.0.0.1:45167/partner', false),
	(6, 16, 2, 3, 1796015864843225, 317, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false),
	(8, 16, 2, 3, 1796015924860388, 390, NULL, '127.0.0.1 port 9: refused', '\x', '\x', 0, 'http://127.0.0.1:9/', false);
INSERT INTO tidegate.audiences OVERRIDING SYSTEM VALUE VALUES
	(1, '\xa6a4505653ad3012944ae02fc3287e36', 'ticks', '[6]', '[[16,6]]', '[]', 11),
	(4, '\x20bab8ce4bfc0c50cc6f8bb5e5e942d5', 'shop', '[1,2,3]', '[[6,1],[7,1],[10,2]]', '[14]', 1),
	(5, '\x00096143dcd248f4a360eabde8b4467a', 'shop', '[1,2,3]', '[[6,1],[7,1]]', '[10,14]', 3),
	(6, '\x779da1fc24cd0786cefd2b5e45f1f816', 'raw', '[]', '[]', '[]', 2),
	(7, '\x4e619631b57b7d1c33e2feacb2095d16', 'leads', '[4]', '[[10,4],[13,4]]', '[]', 1),
	(8, '\x8ccdb29202f93f1ddfa504f24f874bcc', 'app', '[5,8]', '[[8,5],[9,5],[11,5],[12,5],[17,8]]', '[]', 5),
	(2, '\xd11d8610010ed6f9af498da02d2ce57d', 'shop', '[1,2,3]', '[[14,3]]', '[6,7,10]', 13),
	(9, '\x93d64a63e3ff337799fa7d456022c48a', 'app', '[5,10,11]', '[[8,5],[9,5],[11,5],[12,5],[26,11],[27,11]]', '[15]', 3);
INSERT INTO tidegate.dedupe VALUES
	('\x73686f7000007072696365732f70312f31', 12, '\x30fe6f4986426108aca2554a991a147f', 1796015834839069),
	('\x73686f7000007072696365732f70322f31', 13, '\x02fad65d2bb808f86d7b4b277cddb406', 1796015834839069),
	('\x73686f7000007072696365732f70332f31', 14, '\x74863bc3d4ed605e4a8bba07ccfe6da6', 1796015834839069),
	('\x73686f7000006f72646572732f6f312f31', 15, '\x9f83b608b4c18f63c7afe2ddefbe001e', 1796015834839545),
	('\x73686f7000006f72646572732f6f322f31', 16, '\x97c311b9fafbad5565579f8b228d078f', 1796015834839545),
	('\x73686f7000006f72646572732f6f332f31', 17, '\x38d161a33659cca1ea4b1b0e069875d3', 1796015834839545),
	('\x73686f7000006f72646572732f6f342f31', 18, '\x1ad0d4ea7bf83f454d1b34c32b2e1cf5', 1796015834839545),
	('\x73686f70006d73675f31', 19, '\x375a84091ac980e42b20f6c628ddb81b', 1796015835273781),
	('\x73686f7000006f72646572732f6f312f32', 20, '\x9a7e1c11be9894eb90e5bb85365cd483', 1796015835284396),
	('\x73686f70006d73675f32', 21, '\x3cbb680b80c094d6a8c00cccc9025839', 1796015835282319),
	('\x73686f70006d73675f33', 22, '\xb08e2f7715b9a855a27f811c431d72c1', 1796015835305906),
	('\x73686f70006d73675f34', 23, '\xbe3165235bc47de332b574f0cda4bb0c', 1796015835318974),
	('\x73686f7000006f72646572732f6f332f32', 24, '\x38d161a33659cca1ea4b1b0e069875d3', 1796015835318307),
	('\x72617700722dc383c2a9', 26, '\x8ece2bcfe25e9674e74cb93d6c9c6781', 1796015835347243),
	('\x61707000696e762d31', 28, '\x11a042701ba30e62aef7e007f3fafc8f', 1796015835391410),
	('\x61707000696e762d32', 29, '\x9da9a4daecdd3c39f3af69966325e648', 1796015835407927),
	('\x61707000696e762d33', 30, '\xbbeed77a1fd160bfd0dc3c4c9bdf7813', 1796015835418395),
	('\x73686f700000637573746f6d6572732f63312f32', 33, '\xb8890ea8292a91c2b4d9ef1ad2f8e0d2', 1796015835453096),
	('\x73686f7000006f72646572732f6f342f32', 34, '\x73e03e70bd150e62510eb0286412e4cd', 1796015835473734),
	('\x73686f700000637573746f6d6572732f63352f32', 35, '\xb082e06463cd844f6117a9c8508dad71', 1796015857518152),
	('\x73686f7000007072696365732f70312f32', 36, '\xd1537b33f1fe017d82ff798a27933db4', 1796015857578060);
INSERT INTO tidegate.events_0 VALUES
	(1, 1, 'tick', NULL, 2, 1796015833443232, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20307d'),
	(2, 1, 'tick', NULL, 2, 1796015833467024, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20317d'),
	(3, 1, 'tick', NULL, 2, 1796015833470772, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20327d'),
	(4, 1, 'tick', NULL, 2, 1796015833472923, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20337d'),
	(5, 1, 'tick', NULL, 2, 1796015833477287, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20347d'),
	(6, 1, 'tick', NULL, 2, 1796015833499182, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20357d'),
	(7, 1, 'tick', NULL, 2, 1796015833501133, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20367d'),
	(8, 1, 'tick', NULL, 2, 1796015833506046, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20377d'),
	(9, 1, 'tick', NULL, 2, 1796015833509064, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20387d'),
	(10, 1, 'tick', NULL, 2, 1796015833513002, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20397d'),
	(11, 1, 'tick', NULL, 2, 1796015833517388, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a2031307d'),
	(12, 2, 'prices.created', 'p1', 3, 1796015834839069, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22707269636573222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c226e6f7465225d2c2276657273696f6e223a6e756c6c2c226e756d626572223a317d', '\x7b226964223a227031222c226e6f7465223a225c7530303030227d'),
	(13, 2, 'prices.created', 'p2', 3, 1796015834839069, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22707269636573222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c226e6f7465225d2c2276657273696f6e223a6e756c6c2c226e756d626572223a317d', '\x7b226964223a227032222c226e6f7465223a225c7530303030227d'),
	(14, 2, 'prices.created', 'p3', 3, 1796015834839069, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22707269636573222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c226e6f7465225d2c2276657273696f6e223a6e756c6c2c226e756d626572223a317d', '\x7b226964223a227033222c226e6f7465223a225c7530303030227d'),
	(15, 2, 'orders.created', 'o1', 4, 1796015834839545, 1795168801000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30315a222c226e756d626572223a317d', '\x7b226964223a226f31222c22746f74616c223a31302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30315a227d'),
	(16, 2, 'orders.created', 'o2', 4, 1796015834839545, 1795168802000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30325a222c226e756d626572223a317d', '\x7b226964223a226f32222c22746f74616c223a32302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30325a227d'),
	(17, 2, 'orders.created', 'o3', 4, 1796015834839545, 1795168803000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30335a222c226e756d626572223a317d', '\x7b226964223a226f33222c22746f74616c223a33302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30335a227d'),
	(18, 2, 'orders.created', 'o4', 4, 1796015834839545, 1795168804000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a6e756c6c2c226669656c6473223a5b226964222c22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30345a222c226e756d626572223a317d', '\x7b226964223a226f34222c22746f74616c223a34302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30345a227d'),
	(19, 4, 'order.updated', 'o1', 0, 1796015835273781, NULL, 0, false, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3339313233225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c226d73675f31225d2c5b22776562686f6f6b2d74696d657374616d70222c2231373936303135383335225d2c5b22776562686f6f6b2d7369676e6174757265222c2276312c365475734668465659584b59327470637478396f51352f6f4e514d736b5076786f59587a4c724f42566d383d225d2c5b22636f6e74656e742d6c656e677468222c223939225d5d', '\x', '\x7b2274797065223a20226f726465722e75706461746564222c202264617461223a207b226964223a20226f31222c2022746f74616c223a203135302c2022757064617465645f6174223a2022323032362d31312d32305431303a30303a30395a227d7d'),
	(20, 2, 'orders.updated', 'o1', 0, 1796015835284396, 1795168809000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a7b226964223a226f31222c22746f74616c223a31302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30315a227d2c226669656c6473223a5b22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30395a222c226e756d626572223a327d', '\x7b226964223a226f31222c22746f74616c223a3135302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30395a227d'),
	(22, 5, 'order.deleted', 'o3', 0, 1796015835305906, NULL, 0, false, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3339313233225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c226d73675f33225d2c5b22776562686f6f6b2d74696d657374616d70222c2231373936303135383335225d2c5b22776562686f6f6b2d7369676e6174757265222c2276312c7a6163626b4458594250775751356c7937486f6d56514b6f4946584453706e6156396c3266314552486d383d225d2c5b22636f6e74656e742d6c656e677468222c223437225d5d', '\x', '\x7b2274797065223a20226f726465722e64656c65746564222c202264617461223a207b226964223a20226f33227d7d'),
	(21, 5, 'order.created', 'o9', 0, 1796015835282319, NULL, 0, true, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3339313233225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c226d73675f32225d2c5b22776562686f6f6b2d74696d657374616d70222c2231373936303135383335225d2c5b22776562686f6f6b2d7369676e6174757265222c2276312c704e47764a6675677a6f65756b73374c7934657230426d685979556e30765838346d714c6f6d494a4b38773d225d2c5b22636f6e74656e742d6c656e677468222c223539225d5d', '\x', '\x7b2274797065223a20226f726465722e63726561746564222c202264617461223a207b226964223a20226f39222c2022746f74616c223a20357d7d'),
	(23, 5, 'order.refunded', 'o2', 0, 1796015835318974, NULL, 0, false, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3339313233225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c226d73675f34225d2c5b22776562686f6f6b2d74696d657374616d70222c2231373936303135383335225d2c5b22776562686f6f6b2d7369676e6174757265222c2276312c70306242446a5370646d4a6f5532786a59655a7a704e5771394b58377842364f34715252447352323454453d225d2c5b22636f6e74656e742d6c656e677468222c223631225d5d', '\x', '\x7b2274797065223a20226f726465722e726566756e646564222c202264617461223a207b226964223a20226f32222c2022746f74616c223a2032307d7d'),
	(24, 2, 'orders.deleted', 'o3', 0, 1796015835318307, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a7b226964223a226f33222c22746f74616c223a33302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30335a227d2c226669656c6473223a5b5d2c2276657273696f6e223a22323032362d31312d32305431303a30303a30335a222c226e756d626572223a327d', '\x7b226964223a226f33222c22746f74616c223a33302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30335a227d'),
	(25, 6, 'raw', NULL, 0, 1796015835338183, NULL, 0, false, '', 'application/octet-stream', '\x5b5b22686f7374222c223132372e302e302e313a3339313233225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6f637465742d73747265616d225d2c5b22636f6e74656e742d6c656e677468222c223130225d5d', '\x', '\x00fffe20726177200d0a'),
	(26, 6, 'raw', NULL, 0, 1796015835347243, NULL, 0, false, '', 'application/json', '\x5b5b22686f7374222c223132372e302e302e313a3339313233225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f6a736f6e225d2c5b22776562686f6f6b2d6964222c22722dc383c2a9225d2c5b22636f6e74656e742d6c656e677468222c223431225d5d', '\x', '\x7b226e616d65223a202268616c66205c7564383364222c20227a65726f223a20225c7530303030227d'),
	(27, 7, 'form.submitted', 'ann@example.com', 1, 1796015835354370, NULL, 0, false, '', 'application/x-www-form-urlencoded', '\x5b5b22686f7374222c223132372e302e302e313a3339313233225d2c5b22636f6e74656e742d74797065222c226170706c69636174696f6e2f782d7777772d666f726d2d75726c656e636f646564225d2c5b22636f6e74656e742d6c656e677468222c223434225d5d', '\x', '\x656d61696c3d616e6e2534306578616d706c652e636f6d266e6f74653d677225433325424325433325394665'),
	(28, 8, 'invoice.paid', 'k1', 2, 1796015835391410, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20312c20226661696c223a20747275657d'),
	(29, 8, 'invoice.paid', 'k1', 2, 1796015835407927, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20322c20226661696c223a20747275657d'),
	(30, 8, 'invoice.paid', 'k1', 2, 1796015835418395, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20332c20226661696c223a20747275657d'),
	(31, 8, 'invoice.paid', 'k2', 2, 1796015835437128, 1795167000000000, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20347d'),
	(32, 8, 'invoice.open', 'k €', 2, 1796015835444289, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20352c20226661696c223a20747275657d'),
	(33, 2, 'customers.updated', 'c1', 3, 1796015835453096, 1795248000000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22637573746f6d657273222c226265666f7265223a7b226964223a226331222c226e616d65223a22437573746f6d65722031222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30315a227d2c226669656c6473223a5b226e616d65222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32315430383a30303a30305a222c226e756d626572223a327d', '\x7b226964223a226331222c226e616d65223a22416e6e2042222c22757064617465645f6174223a22323032362d31312d32315430383a30303a30305a227d'),
	(34, 2, 'orders.updated', 'o4', 5, 1796015835473734, 1795341600000000, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a226f7264657273222c226265666f7265223a7b226964223a226f34222c22746f74616c223a34302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30345a227d2c226669656c6473223a5b22746f74616c222c22757064617465645f6174225d2c2276657273696f6e223a22323032362d31312d32325431303a30303a30305a222c226e756d626572223a327d', '\x7b226964223a226f34222c22746f74616c223a34352c22757064617465645f6174223a22323032362d31312d32325431303a30303a30305a227d'),
	(35, 2, 'customers.deleted', 'c5', 3, 1796015857518152, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22637573746f6d657273222c226265666f7265223a7b226964223a226335222c226e616d65223a22437573746f6d65722035222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30355a227d2c226669656c6473223a5b5d2c2276657273696f6e223a22323032362d31312d32305431313a30303a30355a222c226e756d626572223a327d', '\x7b226964223a226335222c226e616d65223a22437573746f6d65722035222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30355a227d'),
	(36, 2, 'prices.updated', 'p1', 3, 1796015857578060, NULL, 0, false, '', 'application/json', '\x', '\x7b227265736f75726365223a22707269636573222c226265666f7265223a7b226964223a227031222c226e6f7465223a225c7530303030227d2c226669656c6473223a5b22616d6f756e74225d2c2276657273696f6e223a6e756c6c2c226e756d626572223a327d', '\x7b22616d6f756e74223a31322c226964223a227031222c226e6f7465223a225c7530303030227d'),
	(37, 9, 'bill.made', 'b0', 2, 1796015857798821, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20307d'),
	(38, 9, 'bill.made', 'b1', 2, 1796015857809355, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20317d'),
	(39, 9, 'bill.made', 'b2', 2, 1796015857816087, NULL, 0, false, '', 'application/json', '\x', '\x', '\x7b226e223a20327d');
INSERT INTO tidegate.exceptions VALUES
	(8, 28, 0, 1796116790170510, 1, 'http_error', '', 0, 0, ''),
	(9, 28, 0, 1796093944863360, 1, 'http_error', 'k1', 0, 0, ''),
	(12, 28, 0, 1796015835405663, 1, 'http_error', '', 0, 0, ''),
	(17, 28, 0, 1796111357243494, 1, 'http_error', '', 0, 0, ''),
	(9, 29, 1, 0, 0, 'behind_key', 'k1', 0, 0, ''),
	(8, 29, 0, 1796099743287422, 1, 'http_error', '', 0, 0, ''),
	(17, 29, 0, 1796116043513984, 1, 'http_error', '', 0, 0, ''),
	(9, 30, 1, 0, 0, 'behind_key', 'k1', 0, 0, ''),
	(8, 30, 0, 1796097919323528, 1, 'http_error', '', 0, 0, ''),
	(17, 30, 0, 1796118528163335, 1, 'http_error', '', 0, 0, ''),
	(8, 31, 0, 1796118170268043, 1, 'http_error', '', 0, 0, ''),
	(17, 31, 0, 1796106570909708, 1, 'http_error', '', 0, 0, ''),
	(8, 32, 0, 1796100438037580, 1, 'http_error', '', 0, 0, ''),
	(9, 32, 0, 1796092828628893, 1, 'http_error', 'k €', 0, 0, ''),
	(17, 32, 0, 1796092698023445, 1, 'http_error', '', 0, 0, ''),
	(26, 37, 0, 1796112265584054, 1, 'refused', '', 0, 0, ''),
	(8, 37, 0, 1796100792141107, 1, 'http_error', '', 0, 0, ''),
	(26, 38, 0, 1796110955023779, 1, 'refused', '', 0, 0, ''),
	(8, 38, 0, 1796093402300337, 1, 'http_error', '', 0, 0, ''),
	(26, 39, 0, 1796086428583390, 1, 'refused', '', 0, 0, ''),
	(8, 39, 3, 0, 1, 'operator', '', 0, 0, ''),
	(11, 39, 3, 0, 0, 'operator', '', 0, 0, ''),
	(16, 4, 2, 1796015841638891, 2, 'expired', '', 0, 0, ''),
	(10, 19, 2, 0, 2, 'http_error', '', 0, 9, ''),
	(10, 27, 2, 0, 3, 'http_error', '', 0, 4, ''),
	(16, 1, 2, 1796015835640103, 2, 'expired', '', 0, 0, ''),
	(16, 2, 2, 1796015834554446, 1, 'expired', '', 0, 0, ''),
	(16, 3, 2, 1796015895776499, 2, 'expired', '', 0, 0, ''),
	(16, 5, 2, 1796015834588262, 1, 'expired', '', 0, 0, ''),
	(16, 6, 2, 1796015865775354, 2, 'expired', '', 0, 0, ''),
	(16, 7, 2, 1796015837639332, 2, 'expired', '', 0, 0, ''),
	(16, 8, 2, 1796015925802154, 2, 'expired', '', 0, 0, ''),
	(16, 9, 2, 1796015849865363, 2, 'expired', '', 0, 0, ''),
	(16, 10, 2, 1796015834693082, 1, 'expired', '', 0, 0, '');
INSERT INTO tidegate.feeds VALUES
	('warehouse', 4, 1796015858176260);
INSERT INTO tidegate.items OVERRIDING SYSTEM VALUE VALUES
	(2, 'source', 'leads', 'file', '\x01fe8075f9b95f645d41b61428f58d81a851f73f42238289f09b6a61bfa1d9d96c175da25de43df9c069160f96d53db0324102016faf880499c2f71c9941f3ed46165ff6e697f65505832dc2b198c19dbc4fbd1028a0bfd86df7535128d4d2cad6af0b60e808c1cb8ad4c519039a65b504145b9fe6b0c92bc9e68d7028c8108bc909b502473affa64ab4e25cd2896c5bf1b05f8b0314ac8b41792e21f3d6efb44e6a81195db7f535', 1, 1796015833297973, 1796015833297973, NULL, '', NULL),
	(3, 'source', 'app', 'file', '\x01c96d8bccf27d94b2aaa8f208fbb7946b6e20c2d98cd2ca3f7e807f2140bda36081cb33600def6a9c90dd2c3c6f9d3eedd2cb76bbe48fa969d8d22240cb93308a1ddd0a4b558ff8becc4317ce7f3df6df188a603f242e7c18c9138e16dc6ac6bf3df314355e094cdd7744d920fe4090db56a07c353bfabff35fb640c2368fc7c82cc6', 2, 1796015833297989, 1796015833297989, NULL, '', NULL),
	(4, 'source', 'raw', 'file', '\x0121b8d4625b19daf353cf1931242442d74b6d7d2c07967f0a556b6925605d3dd5afcd3e605be7bb67f1bd25c7a3ded78c9983455ab5691fd6e2d5d45a5d7d1f11d0a51e3042bc4fb04babadddcd27b419f2fb8700dfecc573eb41b1d883e850cb3b1c5b292621f6ced6a24eb0c5324784cd8c805382d6a27c85e317de1ab0682c62034b8986efa1f833e0f0a14b56c05c9101e7ca9aa6bcfe6d578b89b905de15225f5a38aa524c5af6e288bdd48821a561e2ec76e389', 3, 1796015833298001, 1796015833298001, NULL, '', NULL),
	(5, 'source', 'ticks', 'file', '\x01a54aaa23f16481e712e0316912b3cefe558d3acb8797b2242579d6f55f2c142d1a1e8905c1d24ba03ee8d6f069ce1ecfc76b5afd19a9c6545478840716e7295958f84b261cf305fc9ffd697c6104ca086a9d38363960ee5ceb35e0a19661a63012b35de3acd0cf25a83b2beaaf41cae315f3644d2c2c78f41affcf6c99c82db0f593', 4, 1796015833298012, 1796015833298012, NULL, '', NULL),
	(6, 'destination', 'crm', 'file', '\x01ebeb4e5f42838432ce4402c05d4d9ce38c5b7b3a1f3d2fc4a92e7b37c188ac31fb05c20c4d817880f0340000ea736db6fb61a18cc4b91740a9c6fd30483c6e2db8860902a20fbc3ba9c04e0f7b14572bce2cc31e18b2374af67e020fcbec26a95cf013ee59ed5dfc8aeb7b7ae6a565b91289e14fe37b10029e96aea534e94bbfbeb153e9b273f077cfe407cac5cc75d67f11171fbe2a76a4fc9acaa592864c960c7d2cd93d5ceb6b012d9e5e8707251698a2e3be6e5bc8daa4d67064b8eb96f87154dfc1072c0fbcd6f82f226456b60ea34ef0c1ad42117f586b50dea39038e3cf144235f30670ebdcb2f958d73f54eb880aa4f63b1422f2e6831daa', 5, 1796015833298021, 1796015833298021, NULL, '', NULL),
	(7, 'destination', 'flaky', 'file', '\x012ddfaea62b0931f97bf8e6f33cef3d24e5998a6d42626be895056f6569cb30f348024ba47856bba0e452c95db8ccf6e30015c404214e18251ab41162985238dd9a9b4ab7be9d8090a684e7cfc38a276760c75a8b166bff0b6a1af059d0a212de3fc679007e42ebd677f967ed31aca6409e8c41cf0d683cac5dba5eb1ab82b0e0e51ff8d9345c9a4e08e1e533e92685dff03ca6c30d45b41ac7f3fb1b097f234860dee1c5f093907e8c5e0d02463790f8c61db747eae3c14fbe7d9e55b6b9d46d14e4d4df5246e72cc606ea51915eb99119ffe9042a71018f66f70034804e3ecf', 6, 1796015833298045, 1796015833298045, NULL, '', NULL),
	(8, 'destination', 'down', 'file', '\x018f8f340c353f40dbd52c8fb2dcfff600e600fe8e3aef6e95e26a2859e036a1ae23e1fe039084fcfda4d0bedaea49740e68a26ef4c1ef468ebe95ae181807cde5c4a8717a33a37b2e62242c6d7e84e83beade8bfc0413468a5dddebe453d5ad6f4c20769ee158687ceb8b7bfaaa1dd928bd8feb4a2c7ca02207df6254eecbf3cec98070bae58fd1dbe63e9c1b171c2ae46e087512f1d1734d0015b3ef7d96bc1e21b472b38fc055ab3ec91f9cf66799649a44fe010690f47dc5605eb9bd9b3baa798bdcb249459ef8f2c0116759edfc627afe780b4b42ba61a08fcbc9a5f1cac8a0', 7, 1796015833298064, 1796015833298064, NULL, '', NULL),
	(9, 'destination', 'ledger', 'file', '\x011c7820e529e429c3b2dd0834d5431058a24e02d88315d03acdf818a855c13e43535b687be9a14a8e2c89a958771bf0532571361ef81844207adf68e581b7e0d22c42fac40c01030da8b6ed378b8d7486eb327819e57854f0debee8ac471052c7e10640dfa2a8dc823d5acca3d284643c0c900d996ab730da8a941ba2fb58a4a485674871b212bc8660fe21a7ef8b2480ca3e1502d469b50f76a26e5ecdd558afaabc42e544022dde4421794718fbdcb8ffcea42f6646739de007abe9183190e718f6d04d413a78ebbc6a4488f8c536d14f6d42ead29685c846dc5e1bb5f9025c1de4f4ccb79d73af1c3551a66a58082070', 8, 1796015833298084, 1796015833298084, NULL, '', NULL),
	(10, 'destination', 'partner', 'file', '\x019160df9196d4d3499bea272a61338e8a9d74d05f37d0d9a2e6d92da6663762ee02654582c61456eaf8c1459738679325183abf8b87125f56dd78e644c8c99c14d058f0511f6504c5665f311343472f01c1875b25e7fca129d43d397c7a3824dd87b0b64bf5b780e000a9704d99ea36702663041b928247ebd67b5de7a9ba41edef1442171cc318362c24d6cdb982999870f91a68b49ce6f9e5e04c641890a28754c6d3cb0bb190e8d23a3d49aaf29baf2d6b226f920ca5c0cfa64c25056c107c678e081daab87a2948d3c3b640e01318910337ec6aef4d4c4fe1b5', 9, 1796015833298097, 1796015833298097, NULL, '', NULL),
	(13, 'destination', 'chat', 'file', '\x01eb73403d5cfc3be9d9889dcacf414c69f5f5680d7dee3ede9bc55a8ff4f81dfeacc7d8de11d575885910f8c7b8de931df0a738cb4a386c9bb01fa106ce7c5be1d2fdcb4feb403a41c8413d1b408021b170c659d808ba5ed06083b6f03f5152aa7cabae428dfe8100dcffa5c6c084f2aa20b05ac397b94150f3227aad0999c53f05509aef62351986168f4b28bc2cbd308800a4e43c76dcb7be2b8424ee63f5f98d993531c3813eed8efc4410cd408819208e2bac6e227e85bbe66abff0e82b31d0c7ca9deae531532a169889e4d58558c8b4ce541c9109cfdafea0dbfbdec2b6f9412f7a07cfa52e6f15ecc0064ab788366b86d3c491134e845cce9267913a2e4574ae0acbe338b929b1ab7d92aa98d99bfea5', 12, 1796015833298126, 1796015833298126, NULL, '', NULL),
	(14, 'destination', 'audit', 'file', '\x010b7384a2a75d36132606b90b3fd034aed6772be3a914d0a9a364a0d2eced8fbc7984dcfc74d4a50791b21de7a61fade4730ea80b9d7741f1aebd87186da359fa501015300c10da1bc9abcb89aeb81e9ddb45a45eb943511cc87fd1bc60417d5ee4ffa189edb89c08fe572d78a2c8d2c00f6111460d6e7868f2494b500ce00539647088e2f742a6e7bfca905bc90c6f1ebf646878f7e4bb9bccc45b5b055af0868df0c34d6994725f4308af6df47e6e35858cd0a4505794886de0d65d8cd77baa58dd7ddbea9fa0cfd543ef8ebeeed33fea8c761e743af68f3f3d8537010a9dbd22056f8ce3f84cc70624742360182c7477345a7acf4980433312f956700c208d8698af784a28ba3d78e3f30bb378cd662b1cc991d3490f7392013b1ed5596438030b2bd9df1e698c2a054705ffa9d361c5ab90361d31ebd2ed3f060b4daea5a87280', 13, 1796015833298135, 1796015833298135, NULL, '', NULL),
	(15, 'destination', 'late', 'file', '\x0147da8b8841fa7534e5c5eea051d452c8b5be062461d55e1771740717898f89075a4edbb8f85a9699934c4d396899c31dbf113de03323c2eb93e6b743b3d9c046e5367ffa1cd38f43c7f85fc6752bc282c8907e1bdfe10f386bf9b7b289dc647c5bb1a4f92d9ea73cf5c238cc8c80fe1c272e0c509d6fd4c4da596c17cc0379dc44796ad93a82c55c01f5ecad57b785145391f415dbbacc366f75fb1d174bcdabd5dcefc003f656af53c62a05ff9c78bc1645a13360b27b3bbf3f5508805bc07eb9dbc9fa28a4a69cfbec8f468e3fe30a505b9ed55485b52720f5c0153e5bdb6eaf7fc4c77e7fb907a9fe09a3c1ec02d16e8b675f41d5bc503eec561d519ea8d1ebbd1d0185bd5092efe9e21f08a7362ca9', 14, 1796015833298148, 1796015833298148, NULL, '', NULL),
	(16, 'destination', 'dead', 'file', '\x01d580a6f6a530861f598f5b796d1c41c5f1ff416f9bae149c30a832b11e72d4d3a130b3404b7a1b2d32d11e6643fa68908a514c2d8bfa176e5490c224daa0da991553ca8530ad6e31e80002de41cf1bef69e52d5ee6a5e55bd0b267217b6ea363afc532f13cdd5f8b8769028f8a1003233712b3f50d13c017a9e39948984e2f6f3df68783bd45fe91383a193098fa3d88390dcb8e6328986011f2bc3d6eb903c4a3e15b5412c21bae13fb36c7f689d9e103a428a57a925de492a9936951c977548899a13d57f041e14296680039188bed90c0507af575ca65a8b45d020a6098a82987c23fdb9936ff0f14d8722360d1036422075b9e881a078ad01d9c5500062a1316f18f6d86556fc89c26bee46d2cba07f05a16757fa0d65079780fe5d9de15e31b575c62d8700396093f6051a6cef1', 15, 1796015833298158, 1796015833298158, NULL, '', NULL),
	(12, 'destination', 'gone', 'file', '\x01ca7971c056c5a41692591caa6ad54731c9834cc94b8446a671f679eb8e919c71b376175293e6d37e35c9effdf37dba9e6417fb06977076fcb7e9b811ef3ba5ef2291ab2ab30b89ea0ccefe1889efcb4de275c294fada502d79dd6c0bb4772d03e0b513d1299f41fad999c03ce075779e6faf974a3e795dc85699645d3e27580b0b34accf495dcedc06db474bb153ca3e68fca719471cff060d485691308ea670666ee15412a554643dc490cf28c369e655464726e953da7a90871e70f1a7f12b7918feb0fb93adaf402170688fea6f985a78be1715f97e502cf70c43fadbc63f8c044a249ebb70b1fa206bc394122666dc49c6bdc535ad773434e4ffc9', 11, 1796015833298116, 1796015833298116, 1796015835405750, 'gone', NULL),
	(18, 'route', 'webhooks', 'file', '\x01c1244b43b42616e960e3e35b1199419330d8de149475df1332aff1f4487d109aed2e780c8f1669c610b54351a2b0ba088c260f398c62eecc938856778da13d0206d338c5fd2cfc0815ee701fad92e0ee4f616d769ef77683aed5cf5df263d5b5080606ca149963fc2b15a20f4672d7ba7bb74dc80fd3d1cf72ad1bfa954b18482d56ce04f72412713c298029613902777b39284988e5ee650e4fc55b4c32e033e8d02e337ddf42b180e0af3b', 16, 1796015833298177, 1796015833298177, NULL, '', NULL),
	(11, 'destination', 'held', 'file', '\x01e0e434aaeb592e215326298de926670b007f7da9436793ec3b0aa86fd8b61a8f50441754dd2d849f3e14f5aace07881ed422733d61a24053dcfe726c1167fe16a63f799b890fd3ac481cd5bd08504e41326564802f63f93aeebe74e207d6b9e43e661fe2f5ffe27b346567cddbcf2c43a9b069af162ab2bcde22c2e05cf1b70ef91a0a197e7aee26d20cb0fecdca4fe61cc0e01acfb0ccdb3b7f1c5deb82b8397e501e9474cdb542d92e1cfbbdd03e12d47da7eb905aec641e422261c7a365cf680b06d04ae4ed3191aef9718b3f697157269ca85c1b58b1b68a1834c16b1adb679e9167b3f7763b2d01f6daae11e72295b9bee0c5ad0e5b82d2b3b527', 10, 1796015833298106, 1796015833298106, 1796015835371668, 'operator', NULL),
	(25, 'route', 'leaver', 'file', '\x017c763ad4f7bd1f31968ad4374ac15714bef95da971afda08a8b370b3d581463b6ce98661453dbef8a1e80ff71e6596c6d493259e9725c808a2318adbd3e0041804c0446ba25205cd8d113714ea594243e6719d406933a25873211533d5368bc096a8a87c10d755aa57170ca8a83e951d89d1ba8d50d0a72d85ffb89238b20f4ff160f0ced7bb93ec538c54675e8a6ec0', 24, 1796015833298238, 1796015857626649, NULL, '', 1796015857626649),
	(1, 'source', 'shop', 'file', '\x0185ad450450d78b3b20467b709804065912f6bdc661f367bce3885948e7737c6248f0189ac21dfecfb3f0c25d02234601646ac593c9b3791e4e85d0675d75b9ddc995c412ea22f4de6eef67de821b3cc6ac6408d35ff7dfd7a2cc740a97920a21cc2188414826e0f1b4a7cd34c999cb4f0275994a7f3f5fe159acd0609b7f3e014cc2097b087da278dd64f1897fbc95fae05dca5bba27725a9e3df220cafb77f8f052d9a8c74124aa2a22220d784217e40c3b41d31a2365e4d115018111040677ac480d75dd054e072fa248f7f259c9ddbe70ae1caa1abf9d3bb7d93524e7b5120f8475252b6a638ca6ba4a32d4fbcd6aea171e58082ec392dc22deda29a818dcccd26d39e390480f6f593fe7fb249158e796a4121fcc3b88881ec2e798c489a44424186d14cc953ca9827c7b01f2ff453cbc872ea26919ed7c9b8cdb1b70e414bba634f0cd8a4fbb8665438417732fc180dcf401b9dadb595506853606194aa2acb286ab0c99b39877442300dd6a6bd779a03d2688d961d11ba2176f0552c2b1d598247ffd8a7f9d3d1dd4e1d732e25bed02949576256cd0d708f84c7bf2ce9f57bdbfa8ee5cc609cd891780d15f4b45c58162945283137dc7e91d23d4bbcaf6ed41d2e9fdb13ad8d7e707d73bc0dc92d86bd8a0823655504492bc0d6d593d6791da4e52bd23e4549823e55474d6d8af73ee17cbf8fc4f2e803e076e29bada59345ec0c216d7c22bd23774d85a97549a916247271a0fc10789b27b168f88b9f33d5d9d1c0db91034319e09183ecc44cbb98c1763747791d27cf5c472f5f49e4a9f134a8c424e6ae4ce5aca5f07ef19ecda421f90ecba747f6d2f63e6cb4b99bdacefedac1bfcdc821059d48c2ee1e238293b4393c44010a72c6f84c376a82f8aa15a4599a0661f082804180850819b44504efbce15e7861259de57662bd150a916d829d6695e6038158d50388e961de1c67a3c32117fcfad0e0df0de6d415639dcf51f7468d1d5627fa824a1f5132c069d788e89399b32d0066035fbb39fd839270642dbe57c9bac3f53306ca6764d555828170e23c8ec62ea8a0c0e6bb06498a6f1a98a05fd864442278b185918b24460d82ad677e664c622d0b82a697f6ecff0f9db0e56e40b49b2a85465465a6df30bcef2c111f81092711c10b2fbca7721586a8ca863f553969a536bb449a4e58c282b095fb260b70a076a25f13c5154dcfe94b8af91143ed4f6b21b812ed6b8893095027c7c2d41902e61d73d726b51f114b12361797aab044a764aa75829d207b679533680237ccc9335896e7257d285c53eb66d0fb8bde635a68f3c2cb78ae47be54b22afbbdc90f2005878de5eb9ef11d7bcba241309599202f77c6af2a0ad2f3630cbea2a664fcf26d2c22cfb9daae6bb0a4df539ba8f93cb2f19d48768b8c6195836855b40c6c07865b955a13f134fb6defa8d068edae39c6ee830581d0c1d0a2191fdae7530ddc118731f6e035aacb749a13e0d3d90eea979c3d901dd79fa7bb98a3cfb11e01ce0d8c3a375d0f2fb38ff821504843dc3a428eb2efdd3d8660f163ec3e4d125', 0, 1796015833297873, 1796015857626178, NULL, '', NULL),
	(19, 'route', 'big', 'file', '\x015665316fd487daceb6e402d68be9e335e06b4e0156403a5312e0f3e6787347efa40d6b5b7832b6a38476b59e2323d4a676a45e9e2386373fd28b44350618f3291ca2d4826fd563e09ac7582d9dbd1a7e930d5d7564aa10f0c6343d1feeb6700f5dcebcf0b3a3cc53b732b176b182a1b400d81390c15420053b2205b9d5e61ded665e3dde4b7a752b21dd77252c8f08ec34d7cdcfd19961866afefcb025f4b1cfdd61d7f88352cbb49f255499e6629cafcf3a83c9469ba94e190e29019151225c21157c830ed412341cc3aff5e1573793354a5198e9e6251d', 17, 1796015833298187, 1796015857626519, NULL, '', NULL),
	(20, 'route', 'changes', 'file', '\x01c9883773e465f5cddd29b8c118afd5731e8b0664d1e8ef715605b2a24ba11ea01ba93f658b81f0a4db88df36234c0cfec0f6224dd25f9863297dbe8a16f330d4912263b25db10df3ebce0f40343002f9289957d024e8908c20b5e1e56ca1fd0d6e4ad796f787453a5ba071df2ca4ddcd7e820620af6139c58bf4491cded2ad92eadd53b75db9bae034a8ab6ba6c4e73bcdbc3c95f933a8e6ddcbae5c10678b75dea00308e1e6f37e877c262125b78b8a9f5e34119e666ff2796f', 18, 1796015833298198, 1796015833298198, NULL, '', NULL),
	(21, 'route', 'leads', 'file', '\x01650dd45ed7b97d6923bf12bd0922296e8fd505a10c989eb8e2e9c64f47b5180eca502520b09e9298797ed15cf73033a6711fb16bbea839bbe35ba58e5f8636d0be942e8ce4301bc40bb1418ef873afbb99e76e710b2b73a54289eff2af4f8ebfd2bf58ff0bdb77110213d71873e3f06e1f675a8a32f644b2969203b7503661a7c7fc088ea73924b124e3f21fd8350b90ba705e37c6b9a4c9a5e31054d11801a50cc50667e774543653229c589a9358f003d4144b3bc2211e013483ca15d760254bc946ea2ca6a067220e97e7a93707d9fc0a06b6576053e9213b', 19, 1796015833298206, 1796015833298206, NULL, '', NULL),
	(22, 'route', 'app', 'file', '\x01ef8dc8581656d6fa85440e197261494c0a333d3ed8b8b257972057528c53f32fddfede9c7505c8ec0d08d02725f3f3425472997dbbf3c1287a02e3614733d3f7f058b4e06d968757d2345e843224c4f6b48e6d1fc63a264c5e69d0075fa0a2ff6f8f3b6774035825935255be77ae0f2003c5fb7497dc0d0681920f27e3c1662f8648eee9f04997c863b773e8f2c126c4749c7b46438fccaca82eb3e97b1f431cfa16b507e1e2b0', 20, 1796015833298215, 1796015833298215, NULL, '', NULL),
	(23, 'route', 'ticks', 'file', '\x01005f6d8ed471eed6c5a6c7a1dc6c9cafdb883aa32092909f3586cfa5987566b03c1b72d55b5fc20fb731fad4e70f92e14947256be85f6ff6394d96abd9bf1ae8316a240cf4a278d7823b9648ae67663bf2132217d5c1e52365f32c3004fbbf28994a7202d7968ec07c07f110ea2f5bedc6809672a854fe410bd1b5e3487cf5a7459cf69fc9f68927201fbf5e3648e653', 21, 1796015833298222, 1796015833298222, NULL, '', NULL),
	(24, 'route', 'late', 'file', '\x015c04f48bc237b344c700c54ba03e9dd177065ea3dde3913a4873a39ac1fae21d8deeed58fb385244e24ce389f4155ad410ea10ae6fd2d73c95bd7035008b55168e6bb08586a2082ae818e1e2b76287c86b7e51c668cc6c35765c269ac5adc1e9b39f032d93dc9de986edbd389f0afffc7ec00b383f982cfbd111b1352ad0c37e1c4aadd393b625fe8cbd02780d74e5e286da550b1b0ebbb2dd49b4f90d4aac993c70d35f5dcf2bcd716582c82ab02033433d', 22, 1796015833298230, 1796015857626608, NULL, '', NULL),
	(17, 'destination', 'leaver', 'file', '\x01e0afc9762fd743c58f8028a7a177cb79002e1eec95fc84152e69a0de948d078b623724c09ba19544fee330a02d7563919be5d3a7f7e7d37dcdbe784602bfd75bcf08d55383cfedc95095c2cce713100921bdceab6a5fef64e59b12e1773c8d2e19c2f910fd1b787f2cfb54e85944331bf1958599a26648fa643289170bc796c36b4b4a11b1c29c9d98b667672686c7b7b827a8710550b02f39802ab06522ace05271cd5b62224d33f8ab4d0e16870fc0f203fc7c42fdc5f8843a84379586b2ff79b98e9edeeb55bbbb376f633a7708f15603ec6ffc18c0b1a942c7d47dcf', 16, 1796015833298168, 1796015857626631, 1796015857626631, 'left_file', NULL),
	(26, 'destination', 'billing', 'api', '\x01d235588280d045a0a6a287230dc2cbc6c72c1d7dae10e401646671f9e74bfcee508ca07ca9fd5435b6a93fbf57db140e8ea013adbe225981161e11603cde1872ef7f0210b2778753b536a0989e3626af411006ffa291b137f50244d4cb7162adcf8043d41af9aac6bca3671f421b4ac402f9a7c4e94fc3d6d4c7bec1873a7366f303eb54b75a00a614d9390d0bd5c2e084d9560b2f29f8080266c74496043cbb9566a85659dd2f0e0b30e6b2efcec54acf9b06a90d6814f8233d386a6cdaba38f0e2b5d8cf5a77c101f8bb6b8eed6e0a233a36ddb9703d57ad12a1bff41be0e7d5def840c70c74644b69a88a0b5f1aaddc75b50e427a3d86a19b795120af0a3971da94efce9443d39fca45eb766bb17972e72b30a23040b6217b00ffdf4cca084cd276db7351899dd0db2f05ef7e239560475ab011c7', 1000000, 1796015857671896, 1796015857822902, NULL, '', NULL),
	(28, 'route', 'billing', 'api', '\x0153a0e565e6d930dbfba381a6c421b34f4ad18b86c9a76f5873061b1938c25d0d80f0b7c92f89d16f955903333d0eb78b88ec19d9f45d117da2253e65da29b8e2a2fc6bf4e4670ffd0504551471e7ed714d141404e96a8f210ae5089cce828ddcdcab6c8e02e369925c41ae20ca003eeefd3fa38215434bd4257b4625192fbabe3c070cdb12f113e566447f81d0765aa255d9d446a12c5b07d06ac86bc874db3fb5e4e3c9', 1000000, 1796015857749453, 1796015857847366, NULL, '', NULL),
	(27, 'destination', 'old', 'api', '\x015eb6b72bcb1857a46f603fa60e08aa637ea72d97ff828f60b361d681d7ff0762b180f9971d582076f934b8b6419a6ad5c9d2fb0abe586ceb2a1104a5c2aa95cbe240fffa9c087a53c4ce8ec91cbc15103c18d73ceb15856100e2d2c4124f0f312928054cb58f4a56d1da6262d56f47894bfa6144c705d1dcb90ae5fb40912cede60c1000475364c21c2dd695f9c8b337eacf4526a72c22f89e49e671ee4d466519fb282847524325c6bf2335415ef6b7dd21745678e23848198529895d71d661bcd2f5c4661e25bb00990207c8366ae7f64f7b187db94d70e0eb32ab53a66822a7bb8733e2e3e5f2607c732c81736a70515a8508ad6fe0ef', 1000000, 1796015857700503, 1796015857912280, 1796015857782727, 'operator', 1796015857912280);
INSERT INTO tidegate.keys VALUES
	('key_1k1ey3kqje7s4hxjrvh', 'reader', '\xa3ac43ab738f003ed266fe2b52c62bbe544586b7adc91cc0d9d5e68753118465', 'read', 'shop', 1796015858108871, NULL),
	('key_1k1ey3kqzt3w4prpkpt', 'publisher', '\x39ff3692ee727a9255c7bceaa08fbef51e9d1201a495a7b71bc50727495e7852', 'publish', 'app', 1796015858122563, 1827551858122182),
	('key_1k1ey3kr8rzzh0bnj19', 'operator', '\x04335f2848919ef0979dc0df7fc5294224a017fd206411f91a2534f7457e0add', 'read pull write', '', 1796015858131743, NULL);
INSERT INTO tidegate.lanes VALUES
	(8, NULL, '\x', 0, 0, 1, 0, 0, 1),
	(11, 27, '\x0c00000000000000', 0, 0, 1, 0, 0, 1),
	(10, NULL, '\x', 0, 2, 0, 0, 0, 1),
	(6, NULL, '\x', 4, 0, 0, 0, 0, 1),
	(13, NULL, '\x', 1, 0, 0, 0, 0, 1),
	(16, NULL, '\x', 0, 11, 0, 0, 0, 1),
	(17, NULL, '\x', 0, 0, 0, 0, 0, 1),
	(7, NULL, '\x', 4, 0, 0, 0, 0, 1),
	(14, NULL, '\x', 13, 0, 0, 0, 0, 1),
	(15, NULL, '\x', 7, 0, 0, 7, 0, 1),
	(9, NULL, '\x', 4, 0, 0, 0, 0, 1),
	(12, 28, '\x', 0, 0, 0, 0, 0, 1),
	(26, NULL, '\x', 0, 0, 0, 0, 0, 1),
	(27, NULL, '\x', 0, 0, 3, 0, 0, 1);
INSERT INTO tidegate.log_state VALUES
	(true, 0);
INSERT INTO tidegate.nodes VALUES
	('vm-af3766', 1, 39, '2026-11-30 05:17:13.31589+00', '2026-11-30 05:19:17.142422+00', '\x7b7d', 1, 2);
INSERT INTO tidegate.ranges VALUES
	(27, 36, 39, 'cancelled', 'destination_deleted', 1796015857942639),
	(16, 10, 39, 'exhausted', 'expired', 1796015953446177);
INSERT INTO tidegate.records VALUES
	('shop', 'prices', 'p2', '\x02fad65d2bb808f86d7b4b277cddb406', NULL, 1, 3, 1796015834476567, 1796015834834130, 1796015834839069, false, '\x7b226964223a227032222c226e6f7465223a225c7530303030227d'),
	('shop', 'prices', 'p3', '\x74863bc3d4ed605e4a8bba07ccfe6da6', NULL, 1, 3, 1796015834476567, 1796015834834130, 1796015834839069, false, '\x7b226964223a227033222c226e6f7465223a225c7530303030227d'),
	('shop', 'orders', 'o2', '\x97c311b9fafbad5565579f8b228d078f', '2026-11-20T10:00:02Z', 1, 4, 1796015834828556, 1796015834836392, 1796015834839545, false, '\x7b226964223a226f32222c22746f74616c223a32302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30325a227d'),
	('shop', 'customers', 'c2', '\x9e50a594e7c737583effebf132b0437d', '2026-11-20T11:00:02Z', 1, 3, 1796015835228903, 1796015835234108, 1796015835238850, false, '\x7b226964223a226332222c226e616d65223a22437573746f6d65722032222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30325a227d'),
	('shop', 'customers', 'c3', '\xae088b00e67ad34303277f5eeffa6768', '2026-11-20T11:00:03Z', 1, 3, 1796015835228903, 1796015835234108, 1796015835238850, false, '\x7b226964223a226333222c226e616d65223a22437573746f6d65722033222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30335a227d'),
	('shop', 'customers', 'c4', '\xba031e0bc39ed49c42f9fffb28d042d5', '2026-11-20T11:00:04Z', 1, 3, 1796015835228903, 1796015835234108, 1796015835238850, false, '\x7b226964223a226334222c226e616d65223a22437573746f6d65722034222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30345a227d'),
	('shop', 'orders', 'o1', '\x9a7e1c11be9894eb90e5bb85365cd483', '2026-11-20T10:00:09Z', 2, 0, 1796015835273781, 1796015835273781, 1796015835284396, false, '\x7b226964223a226f31222c22746f74616c223a3135302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30395a227d'),
	('shop', 'orders', 'o3', '\x38d161a33659cca1ea4b1b0e069875d3', '2026-11-20T10:00:03Z', 2, 0, 1796015835305906, 1796015835305906, 1796015835318307, true, '\x7b226964223a226f33222c22746f74616c223a33302c22757064617465645f6174223a22323032362d31312d32305431303a30303a30335a227d'),
	('shop', 'orders', 'o9', '\xcae66941d9efbd404e4d88758ea67670', NULL, 1, 0, 1796015835316039, 1796015835317987, 1796015835334053, true, '\x6e756c6c'),
	('shop', 'customers', 'c1', '\xb8890ea8292a91c2b4d9ef1ad2f8e0d2', '2026-11-21T08:00:00Z', 2, 3, 1796015835449480, 1796015835451118, 1796015835453096, false, '\x7b226964223a226331222c226e616d65223a22416e6e2042222c22757064617465645f6174223a22323032362d31312d32315430383a30303a30305a227d'),
	('shop', 'orders', 'o4', '\x73e03e70bd150e62510eb0286412e4cd', '2026-11-22T10:00:00Z', 2, 5, 1796015835470823, 1796015835471687, 1796015835473734, false, '\x7b226964223a226f34222c22746f74616c223a34352c22757064617465645f6174223a22323032362d31312d32325431303a30303a30305a227d'),
	('shop', 'customers', 'c5', '\xb082e06463cd844f6117a9c8508dad71', '2026-11-20T11:00:05Z', 2, 3, 1796015857503162, 1796015857515104, 1796015857518152, true, '\x7b226964223a226335222c226e616d65223a22437573746f6d65722035222c22757064617465645f6174223a22323032362d31312d32305431313a30303a30355a227d'),
	('shop', 'prices', 'p1', '\xd1537b33f1fe017d82ff798a27933db4', NULL, 2, 3, 1796015857564899, 1796015857569567, 1796015857578060, false, '\x7b22616d6f756e74223a31322c226964223a227031222c226e6f7465223a225c7530303030227d');
INSERT INTO tidegate.refusals OVERRIDING SYSTEM VALUE VALUES
	(1, 1796015835324076, 'shop', 'signature_wrong', '99 bytes', '127.0.0.1'),
	(2, 1796015835329918, 'shop', 'signature_missing', '2 bytes', '127.0.0.1'),
	(3, 1796015835333875, 'raw', 'too_large', 'content-length 2000', '127.0.0.1'),
	(4, 1796015835369630, 'leads', 'honeypot', 'the field ''website'' was filled', '127.0.0.1');
INSERT INTO tidegate.replays VALUES
	('rpl_1k1ey3ka8x76k5zsp2j', 1796015857673127, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a226c617465222c227479706573223a6e756c6c2c2273696e63655f7573223a6e756c6c2c22756e74696c5f7573223a6e756c6c2c227374617465223a226e657665725f6f776564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 36, 36, 7, 7, 1796015857725992, ''),
	('rpl_1k1ey3kq0f1hzrjdy2v', 1796015858090465, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a22706172746e6572222c227479706573223a6e756c6c2c2273696e63655f7573223a6e756c6c2c22756e74696c5f7573223a6e756c6c2c227374617465223a22657868617573746564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 39, 39, 2, 2, 1796015858109399, ''),
	('rpl_1k1ey3kq354w1j1k1hd', 1796015858093220, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a226175646974222c227479706573223a6e756c6c2c2273696e63655f7573223a6e756c6c2c22756e74696c5f7573223a6e756c6c2c227374617465223a2263616e63656c6c6564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 39, 39, 0, 0, 1796015858154664, ''),
	('rpl_1k1ey6fbfvwctw5wamc', 1796015954182012, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a2263726d222c227479706573223a6e756c6c2c2273696e63655f7573223a313739363031353833343833393036392c22756e74696c5f7573223a6e756c6c2c227374617465223a2264656c697665726564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 11, 39, 0, 0, NULL, ''),
	('rpl_1k1ey6fbf4zg2g7bh6f', 1796015954181279, '\x7b22736f75726365223a6e756c6c2c2264657374696e6174696f6e223a22646f776e222c227479706573223a6e756c6c2c2273696e63655f7573223a6e756c6c2c22756e74696c5f7573223a6e756c6c2c227374617465223a2263616e63656c6c6564222c226576656e74223a6e756c6c2c226472795f72756e223a66616c73657d', 0, 39, 0, 0, NULL, '');
INSERT INTO tidegate.resource_states VALUES
	('shop', 'customers', '2026-11-21T08:00:00Z', '"f487fef8"', NULL, true, 0, 1796015857534161, NULL, 1796015857527607, '\x7b2273696e63655f7573223a313739363031353833333430343230332c227265717565737473223a342c226279746573223a313038312c22706f6c6c73223a342c22656d7074795f706f6c6c73223a322c226368616e676573223a322c2275706461746564223a312c2264656c65746564223a312c2262795f6f726967696e223a7b22706f6c6c223a327d2c227363616e73223a332c226c6173745f706f6c6c5f61745f7573223a313739363031353835373533343136312c226c6173745f6368616e67655f61745f7573223a313739363031353835373531383135322c227374616c656e657373223a7b22706f6c6c223a5b3736373833352e3435335d7d7d', '\x7b22626567756e223a747275652c227375737065637473223a5b226334225d2c2276616c696461746564223a22373539666530366132313663663566363161356237363635227d', 1),
	('shop', 'prices', NULL, '"8e766733"', NULL, true, 0, 1796015857582041, NULL, 1796015857554833, '\x7b2273696e63655f7573223a313739363031353833333430333234332c227265717565737473223a362c226279746573223a3333372c22706f6c6c73223a362c22656d7074795f706f6c6c73223a332c226661696c65645f706f6c6c73223a312c226e6f745f6d6f646966696564223a312c226572726f7273223a322c226368616e676573223a342c2263726561746564223a332c2275706461746564223a312c2262795f6f726967696e223a7b22706f6c6c223a347d2c227363616e73223a332c226272616b6564223a312c226c6173745f6572726f72223a22706167652031206f6620687474703a2f2f3132372e302e302e313a34363533312f7072696365733a2074686520736f7572636520616e73776572656420353030222c226c6173745f6572726f725f61745f7573223a313739363031353835373539323138372c226661696c696e675f73696e63655f7573223a313739363031353835373539323138372c226c6173745f706f6c6c5f61745f7573223a313739363031353835373539323138372c226c6173745f6368616e67655f61745f7573223a313739363031353835373537383036307d', '\x7b22626567756e223a747275652c2276616c696461746564223a22626464333736646630333332383438326630383632626433227d', 1),
	('shop', 'orders', NULL, NULL, NULL, true, 24, NULL, 1796015834868231, 1796015834863965, '\x7b2273696e63655f7573223a313739363031353833333339313936392c227265717565737473223a332c226279746573223a3239332c22706f6c6c73223a312c226572726f7273223a312c226368616e676573223a372c2263726561746564223a342c2275706461746564223a322c2264656c65746564223a312c2262795f6f726967696e223a7b227265636f6e63696c65223a342c22776562686f6f6b223a322c2270756c6c223a317d2c22776562686f6f6b73223a342c2266657463685f6261636b73223a322c227363616e73223a312c226c6173745f6572726f72223a226974656d20276f32273a2074686520736f7572636520616e73776572656420353030222c226c6173745f6572726f725f61745f7573223a313739363031353833353335303131312c226c6173745f706f6c6c5f61745f7573223a313739363031353833343836383233312c226c6173745f6368616e67655f61745f7573223a313739363031353833353437333733342c227374616c656e657373223a7b227265636f6e63696c65223a5b3834373033332e38342c3834373033322e38342c3834373033312e38342c3834373033302e38345d2c22776562686f6f6b223a5b3834373032362e3238345d2c2270756c6c223a5b3637343233352e3437345d7d7d', '\x7b22626567756e223a747275652c226469727479223a7b226f32223a5b313739363031353833353331383937342c22776562686f6f6b225d7d2c2276616c696461746564223a22313032616630666331393066366461666639333965373837227d', 1);
INSERT INTO tidegate.route_revisions OVERRIDING SYSTEM VALUE VALUES
	(1, 'webhooks', '\xcf604d1de3a69c2381fed092ef803d06', '\x014f8bf96ed4d16700c31e5212d9cd9264969b0b6ed4bccdb635e926d859b494fb15b469dc33588e0023c1a32b3df1e2a2a5d70756ad927ed14943af72a84a072ce71cd64492dc02e1080e7edc50641272aa86089412206b7f5166cc5e487003f8aeb02ecdfa6dab09077b6653091a55a0224a0aa079ff419905a38aadc81d955aae2dffcae83f8d35eb0e7bfe9fbb400eec030b373d3f6e6fa50060ec360173888458b376fb9d27e382429a6807f63f'),
	(2, 'big', '\xb819625522047f3ba776e73d51bccb41', '\x01360813a6978f573a1bdb97a2244a05b33322320f69508745a64ab9af5e85d57adee45fcf72a39214ca09e8417a04845b71b129f9b633c75d09a4dc06fcbf1a2fd5dce4271e48f6ccddc29066331e8f7f0823311da76bdadb77ee413afadb767af41ca0cf8b1786abaa06f42a338bad1d5c04aae92678ac4fe8041742ba967cebf2afce154c600fea6898da1f5ccc1c95f2d54853ce0a997011cd04f337c6934e84a58512dc627defa0e1657dd71082d1839f14171596e6e4961d3a3c31b0f9d10c85958ace10f11c011902778ee6e292878afa6a00031052a2'),
	(3, 'changes', '\xc3c7a993f35b1400ba09ce6bf98aefe9', '\x0168b07b6662f2bbdc175e87bc7cb2e53e1c4d3794c0d0917dcec70887d5573395ac3eac5b3c674e841861d632ac3f8adfdecdeed1be7e1e56a2754cb234c8cdb8c3a360df0a265862ad0092c3451c35f4f3fe18986ae9f82cc3fca92b54a065e345a776d00c0a97e4d41b1df5e0da0cc2b20bbd2c48f4e8c9fba01a28a3d1f89e2a11a342c4cf239ba188cddc8cd7c28fab4b713f232d4a41f5f545174c768797b5faab04c27f28f0523554b23e12843fafe547a92f16f5fdfedd6c6f'),
	(4, 'leads', '\x7e06d3f509a0541496035077c1efceb9', '\x016aec070a85b3c7b16891d21b774d0d23214fd647a6f1e1ea34ccf7bff575cfcf0b1ec1a20f47a945567256573bbb2080a667215b2fa10b80907fff975e6743cbd25e6a02b641250d290caba1969661678a294b435cf4ba004582baebd09f3fb8ab7ec8ac103cb5ef0f740978c30e7ba8b19e8a76fc61013d91c005384e049bba1db6583047a24ad01de40030a3b674174d8e89e1efcba3bbb922c70d8cb058a41723e2cda88ea3de322903c64cd509b8811737996622106b19052567660d74d5f721efe16c5909f52035f49eebf26234b251dc4fe17f62651427f40f192128'),
	(5, 'app', '\xf1a053480225eba8fb61d8474cf29028', '\x018df3f144729b4544532dceb4124832ef64ccc582c08878fa0ec2ef60ede9473d1f37a4281cbfaefbbee28c714809a703dd3753bc227863dd2f1a5e312515ffd20c82496f6c59ca2697997ee31a6b6d2229778245c3aee1001a37251e92650aad4b8098f95cbb4c178f5b93b38560a569cdcc096b1b50af43e0aba05af609cb0610cbfec2a1dc972feeab6b41ce7141ea6e4b57c9798492fa47c0448dee52ba3b8651811cbd921797add931ec8c917cb8'),
	(6, 'ticks', '\x2e222b98d87853e897ab5f0d410974fd', '\x018c5a7244e6207306eeed0b002a540868922051e02742a2282d08e274b893387164143f91ca7e7508a43c3030c8d68c8a29415ae94268a7c7d6852b8ac534f755bc3ab646a359d26b180af8fb12c5958e800a4e80299a63f566e1d1bdbe3ab2b1e74c06a9e834398ce07585f53fac311dfee13469588745255dc90ac34b7e8ab706cafba4327756298d7852355733de87f2a9'),
	(7, 'late', '\x2964485af2b5e7738c6b3e17538eb5a8', '\x0175ade37caf665169b128a9b72f1574e585bfc86662dfeee949777a25f31592f6e59109abddf2ea9bb387574ec776b5008c5529dfecbdbcd866e152880ae946ebe837ceeb6d5754d4ea941ae89c7d1dfc7a1b9b523f3e2b911f2bdb7ab889303b3203abf4342820fa8ee8402c7dbec8c53acdcb06b54df001e9e86e50717e665f5cd56ad87fd8eece8935a1160c1dba9782a61ed96d2fdef0a1a0f8afd15e46a7ff921c478f6e30906df1874cf9c2d3e2a51999d4fe636640c98adeb6b759504059c0da3c'),
	(8, 'leaver', '\xcbf95a0d3fd077c0cb9b147f7dd8646b', '\x01e01cf6c2b241a759256d92806d080d1a4c74654107d71551841b9cc3101a45c5d6356bf219aff227ae0d5941d8c7e9d007fd4f656228b21df5e6a52dfe9fa2cde0e5754034758efe16a9e27d0ad1a8cfedc8041d84d86452cadb7d9bd4b4f00e5cecc137116cb052b0ece8fed0f8055afb8a7f3a37c976d7fadd4ffb97cb783cf163cd87d06ddc1ae5c25ea63ec9f6634faf'),
	(9, 'big', '\xb38dc9856d6574a49cb334880905d8c9', '\x011750cae26fc2149a466d910ee24d9eed46caa2d7974e6729ce224f5009fb7b1a83cea3419f11d744c5927580d7626e57c3898843310c42175088f14e23bb7bf1343554e6031caa3425ee7427e91fb81cf75361687ad8dfc45666df5502c43c9c697d51d9dbef4ff1953dfe02e71c7bbbe13682a62769b55bf262a4aeb111cd4c3453bfbe71d29a75c6596384a277a0bfbb721f3a8f7f2305c0373ce3e9d94bcd811df4722cbbc8af7f32fc0c86c6d6b33685d1cc2ac638b349abc7fe9e9e3e9c7c1fb8c1f64d03f9a0a1b2689e0af85169af3a040882be7e6771'),
	(10, 'late', '\xa513f9c726731719af2cf595a0e76dba', '\x0140ad28d91dee185bc7afec17e7dde61d53470dcfc2560b64d5c9ecbd81e6163720643e02258a3f4bbe41f54fe57ff98f200b1ce36af268aa83f3136d3738793ea976b8f3cb02545e8c83daeb4a6984de917513f68350a834239264f99dea11f2baff463b2ee25760c5595f4068f5a45e7fe16b65dfb036ee9c22060fb2e35a4e2297e6f8b17b30e163d21766f9a2fffedfa844ffcc176e3a648b07c146c8c9183cfb1dcd12f31088c6ee49b03a642bd489b311a5'),
	(11, 'billing', '\x20ad9e82fa62a5acbf7ff4191a50f15d', '\x01dd8cf227f14f89e4b1ce166a28d2bae80d509f70f84099393430aa9dfbcc49f9ecd6065ee708b59ec8c2b52faeca7f472e70ae0fb4b6a0b437f6260394d00f80bbbe06bde34d4ec79a6ab3e0ebdba7f49835846d454f94f4cc3f3b950fc7dd1406390583a3c97bcc199a8cc788471d65010eeac4e6504e34d62b2da2adfa37d988ddab7557241d95961e455c95b4d65661d8be9cdb53d23d128e5ccd422aee97de723f3eff08d2f94b4582fac00e80accf'),
	(12, 'billing', '\x28b462e0d8b8d485a98027582bdb7231', '\x01e6199607a434b45cfabfab4308923f199451eadb8167108d3c8adb64ed60e2b3c9baa0b118cbbf9cef3064881b9a312ef8df0307b6c45113f595a12abd9e2ae6f956e0665d41bbbc5847e0ce171d05cdce5cab42f927199c9d7fab2163811382f3bdb377941bc234df67ab69243ce9f1a5c5483d10b4845db87f51e2d14039199d3c95f77f4772019d79b6c0b34a8ab6f8abf3165f10f01ea08ea48808cdad678c5f5781307d');
INSERT INTO tidegate.schema_version VALUES
	(1, 1, '2026-11-30 05:17:13.181506+00'),
	(2, 2, '2026-11-30 05:17:13.181506+00');
INSERT INTO tidegate.settings VALUES
	('instance', '\x35677a366d31'),
	('value:vault_check', '\x01d6ac3c4c2dd4137f02d5354e66dfb82778ed291e63a7f424764918d41ab5f505a284dd8998161aa30a8c07692706b70063b09ae41fc79b4dc1f6890f8085f406c1790d94b0619d5cb6d4223850bbf1e559aab94430f0d1a74deb6883a146368c'),
	('value:started:15', '\x31'),
	('settings_version', '\x3236'),
	('value:sessions', '\x5b7b2268617368223a2271646f4258766a57696f4552713971754f63786f37646a37653738673130784c526c4b6657635064542f4d3d222c22637265617465645f61745f7573223a313739363031353835383135383536312c22657870697265735f61745f7573223a313739373232353435383135383536317d5d');
INSERT INTO tidegate.shares VALUES
	(0, 'vm-af3766', NULL),
	(1, 'vm-af3766', NULL),
	(2, 'vm-af3766', NULL),
	(3, 'vm-af3766', NULL),
	(4, 'vm-af3766', NULL),
	(5, 'vm-af3766', NULL),
	(6, 'vm-af3766', NULL),
	(7, 'vm-af3766', NULL),
	(8, 'vm-af3766', NULL),
	(9, 'vm-af3766', NULL),
	(10, 'vm-af3766', NULL),
	(11, 'vm-af3766', NULL),
	(12, 'vm-af3766', NULL),
	(13, 'vm-af3766', NULL),
	(14, 'vm-af3766', NULL),
	(15, 'vm-af3766', NULL),
	(16, 'vm-af3766', NULL),
	(17, 'vm-af3766', NULL),
	(18, 'vm-af3766', NULL),
	(19, 'vm-af3766', NULL),
	(20, 'vm-af3766', NULL),
	(21, 'vm-af3766', NULL),
	(22, 'vm-af3766', NULL),
	(23, 'vm-af3766', NULL),
	(24, 'vm-af3766', NULL),
	(25, 'vm-af3766', NULL),
	(26, 'vm-af3766', NULL),
	(27, 'vm-af3766', NULL),
	(28, 'vm-af3766', NULL),
	(29, 'vm-af3766', NULL),
	(30, 'vm-af3766', NULL),
	(31, 'vm-af3766', NULL),
	(32, 'vm-af3766', NULL),
	(33, 'vm-af3766', NULL),
	(34, 'vm-af3766', NULL),
	(35, 'vm-af3766', NULL),
	(36, 'vm-af3766', NULL),
	(37, 'vm-af3766', NULL),
	(38, 'vm-af3766', NULL),
	(39, 'vm-af3766', NULL),
	(40, 'vm-af3766', NULL),
	(41, 'vm-af3766', NULL),
	(42, 'vm-af3766', NULL),
	(43, 'vm-af3766', NULL),
	(44, 'vm-af3766', NULL),
	(45, 'vm-af3766', NULL),
	(46, 'vm-af3766', NULL),
	(47, 'vm-af3766', NULL),
	(48, 'vm-af3766', NULL),
	(49, 'vm-af3766', NULL),
	(50, 'vm-af3766', NULL),
	(51, 'vm-af3766', NULL),
	(52, 'vm-af3766', NULL),
	(53, 'vm-af3766', NULL),
	(54, 'vm-af3766', NULL),
	(55, 'vm-af3766', NULL),
	(56, 'vm-af3766', NULL),
	(57, 'vm-af3766', NULL),
	(58, 'vm-af3766', NULL),
	(59, 'vm-af3766', NULL),
	(60, 'vm-af3766', NULL),
	(61, 'vm-af3766', NULL),
	(62, 'vm-af3766', NULL),
	(63, 'vm-af3766', NULL);
INSERT INTO tidegate.spans VALUES
	(0, '2026-11-30 05:17:13.181506+00'),
	(1, NULL);
SELECT pg_catalog.setval('tidegate.audiences_number_seq', 9, true);
SELECT pg_catalog.setval('tidegate.event_offset', 39, true);
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
