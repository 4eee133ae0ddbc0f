"""The site registry's schema, as steps from each version to the next."""

from __future__ import annotations

import re

# Entry n brings user_version n to n + 1. Entries are only ever added.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE site (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        site_id BLOB NOT NULL CHECK (length(site_id) = 8),
        card_key BLOB NOT NULL CHECK (length(card_key) = 16),
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE panels (
        panel_id BLOB PRIMARY KEY CHECK (length(panel_id) = 8),
        name TEXT NOT NULL,
        device_pub BLOB NOT NULL CHECK (length(device_pub) = 32),
        link_key BLOB NOT NULL CHECK (length(link_key) = 32),
        port TEXT NOT NULL,
        counter INTEGER NOT NULL DEFAULT 0,
        receipts_next INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retired')),
        added INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX one_panel_of_a_name ON panels (name) WHERE state != 'retired';
    CREATE TABLE residents (
        handle BLOB PRIMARY KEY CHECK (length(handle) = 8),
        name TEXT NOT NULL,
        flat TEXT NOT NULL,
        doors INTEGER NOT NULL,
        schedule TEXT NOT NULL,
        valid_from INTEGER NOT NULL,
        valid_until INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('active', 'removed')),
        added INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX one_resident_of_a_name_in_a_flat ON residents (name, flat) WHERE state != 'removed';
    CREATE TABLE placements (
        handle BLOB NOT NULL REFERENCES residents,
        panel_id BLOB NOT NULL REFERENCES panels,
        state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'removed')),
        PRIMARY KEY (handle, panel_id)
    ) STRICT;
    CREATE TABLE consents (
        consent_id BLOB PRIMARY KEY CHECK (length(consent_id) = 16),
        handle BLOB NOT NULL REFERENCES residents,
        panel_id BLOB NOT NULL REFERENCES panels,
        notice TEXT NOT NULL,
        notice_version INTEGER NOT NULL,
        notice_hash BLOB NOT NULL CHECK (length(notice_hash) = 32),
        state TEXT NOT NULL CHECK (state IN ('asked', 'given', 'declined', 'withdrawn', 'expired')),
        evidence TEXT NOT NULL,
        asked INTEGER NOT NULL,
        decided INTEGER NOT NULL DEFAULT 0,
        withdrawn INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE enrolments (
        id INTEGER PRIMARY KEY,
        handle BLOB NOT NULL REFERENCES residents,
        panel_id BLOB NOT NULL REFERENCES panels,
        consent_id BLOB NOT NULL REFERENCES consents,
        model_id BLOB NOT NULL,
        templates INTEGER NOT NULL,
        expiry INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'stored', 'wiped')),
        enrolled INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE credentials (
        id INTEGER PRIMARY KEY,
        handle BLOB NOT NULL REFERENCES residents,
        panel_id BLOB NOT NULL REFERENCES panels,
        kind TEXT NOT NULL CHECK (kind IN ('pin', 'card')),
        uid BLOB,
        state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'revoked')),
        issued INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE receipts (
        digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
        panel_id BLOB NOT NULL REFERENCES panels,
        handle BLOB NOT NULL,
        receipt BLOB NOT NULL,
        collected INTEGER NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE residents ADD COLUMN under_14 INTEGER NOT NULL DEFAULT 0 CHECK (under_14 IN (0, 1));
    ALTER TABLE panels ADD COLUMN clearance BLOB;
    ALTER TABLE enrolments ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE notices (
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        adopted INTEGER NOT NULL,
        renew_by INTEGER NOT NULL,
        PRIMARY KEY (name, version)
    ) STRICT;
    CREATE TABLE deadlines (
        id INTEGER PRIMARY KEY,
        handle BLOB NOT NULL,
        panel_id BLOB NOT NULL REFERENCES panels,
        cause TEXT NOT NULL CHECK (cause IN ('withdrawal', 'order', 'move_out', 'request', 'notice', 'decommission')),
        reference TEXT NOT NULL,
        opened INTEGER NOT NULL,
        due INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed')),
        confirmed INTEGER NOT NULL DEFAULT 0,
        proof TEXT NOT NULL DEFAULT '' CHECK (proof IN ('', 'receipt', 'nothing_stored', 'clearance')),
        receipt BLOB,
        tries INTEGER NOT NULL DEFAULT 0,
        tried INTEGER NOT NULL DEFAULT 0,
        problem TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE TABLE tombstones (
        what TEXT NOT NULL CHECK (what IN ('face', 'consent', 'resident')),
        handle BLOB NOT NULL,
        panel_id BLOB NOT NULL,
        wiped INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (what, handle, panel_id)
    ) STRICT;
    CREATE TABLE history (
        seq INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        handle TEXT NOT NULL,
        panel_id TEXT NOT NULL,
        detail TEXT NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT;
    CREATE TRIGGER history_is_not_changed BEFORE UPDATE ON history
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
    CREATE TRIGGER history_is_not_shortened BEFORE DELETE ON history
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
    CREATE TABLE panel_log (
        panel_id BLOB NOT NULL REFERENCES panels,
        seq INTEGER NOT NULL,
        body BLOB NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        previous BLOB,
        PRIMARY KEY (panel_id, seq)
    ) STRICT;
    CREATE TABLE approvers (
        name TEXT PRIMARY KEY,
        salt BLOB NOT NULL,
        verifier BLOB NOT NULL,
        added INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE reports (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        made INTEGER NOT NULL,
        keep_until INTEGER NOT NULL,
        sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
        body TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER reports_are_kept BEFORE DELETE ON reports
        WHEN OLD.keep_until > CAST(strftime('%s', 'now') AS INTEGER)
        BEGIN SELECT RAISE(ABORT, 'reports are kept for three years'); END;
    """,
    """
    CREATE TABLE lost_cards (
        uid BLOB NOT NULL,
        panel_id BLOB NOT NULL REFERENCES panels,
        state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed')),
        reported INTEGER NOT NULL,
        PRIMARY KEY (uid, panel_id)
    ) STRICT;
    CREATE TABLE visitors (
        id INTEGER PRIMARY KEY,
        flat TEXT NOT NULL,
        panel_id BLOB NOT NULL REFERENCES panels,
        number INTEGER NOT NULL,
        until INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        made INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('active', 'revoked'))
    ) STRICT;
    """,
    """
    ALTER TABLE panels ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE panels ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
    ALTER TABLE panels ADD COLUMN board TEXT NOT NULL DEFAULT '';
    """,
    """
    CREATE TABLE protection (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        how TEXT NOT NULL CHECK (how IN ('passphrase', 'keyring')),
        key_id BLOB NOT NULL CHECK (length(key_id) = 8),
        salt BLOB NOT NULL,
        cost INTEGER NOT NULL,
        wrapped BLOB NOT NULL
    ) STRICT;
    ALTER TABLE site ADD COLUMN kept BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
        CHECK (length(kept) IN (16, 44));
    UPDATE site SET kept = card_key;
    ALTER TABLE site DROP COLUMN card_key;
    ALTER TABLE site RENAME COLUMN kept TO card_key;
    ALTER TABLE panels ADD COLUMN kept BLOB NOT NULL
        DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000' CHECK (length(kept) IN (32, 60));
    UPDATE panels SET kept = link_key;
    ALTER TABLE panels DROP COLUMN link_key;
    ALTER TABLE panels RENAME COLUMN kept TO link_key;
    """,
    """
    CREATE TABLE leases (
        panel_id BLOB PRIMARY KEY REFERENCES panels,
        holder TEXT NOT NULL,
        until INTEGER NOT NULL
    ) STRICT;
    """,
)

# Parents before children.
TABLES = tuple(re.findall(r"CREATE TABLE (\w+)", "".join(MIGRATIONS)))
