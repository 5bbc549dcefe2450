"""The tables of promoted configs. A migration that was shipped is never changed; a new one stands behind it."""

CHANNEL = "tradedeck_configs"
"""What is notified of every change."""
# json and not jsonb: its text stays as it was written, and with it the difference between 14 and 14.0, which is hashed.
_ACTIVE_CONFIGS = """
CREATE TABLE active_configs (
    strategy_id text NOT NULL CHECK (strategy_id <> ''),
    version integer NOT NULL CHECK (version > 0),
    status text NOT NULL CHECK (status IN ('active', 'history')),
    strategy text NOT NULL,
    interval text NOT NULL,
    instruments text[] NOT NULL,
    parameters json NOT NULL,
    leverage double precision NOT NULL,
    margin_mode text NOT NULL CHECK (margin_mode IN ('isolated', 'cross')),
    max_position_size double precision NOT NULL,
    capital double precision NOT NULL,
    score double precision,
    metrics json NOT NULL,
    study text NOT NULL,
    trial integer NOT NULL,
    data_from timestamptz,
    data_to timestamptz,
    code_version text NOT NULL,
    content_hash text NOT NULL,
    promoted_at timestamptz NOT NULL,
    promoted_by text NOT NULL,
    PRIMARY KEY (strategy_id, version)
);
CREATE UNIQUE INDEX active_configs_one_active ON active_configs (strategy_id) WHERE status = 'active';
COMMENT ON TABLE active_configs IS
    'what tradedeck''s strategies run by; a change is a new row; a strategy whose newest row is history was retired';
CREATE FUNCTION active_configs_keep() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'the history of active_configs is never deleted'; END$$;
CREATE TRIGGER active_configs_keep BEFORE DELETE OR TRUNCATE ON active_configs EXECUTE FUNCTION active_configs_keep();
"""
MIGRATIONS = (_ACTIVE_CONFIGS,)
