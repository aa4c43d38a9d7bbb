-- uncounted          Events after the value 'counted' of the settings: `audiences.events` and the rollups of their
--                    sources do not have them yet. The store adds them after a thousand events, in one transaction
--                    with 'counted', and readers of counts add this view. Every event before this step is counted.
--                    (Materialized: else the bodies are sorted.)
-- uncounted_minutes  The same as rows of the rollups.

INSERT INTO settings (name, value) VALUES ('counted', max(
  coalesce((SELECT max(offset) FROM events), 0), coalesce((SELECT value FROM settings WHERE name = 'head'), 0)))
  ON CONFLICT DO UPDATE SET value = excluded.value;

CREATE VIEW uncounted AS
WITH found AS MATERIALIZED (
  SELECT audience, received_at / 60000000 AS minute, origin, length(body) AS body_bytes FROM events NOT INDEXED
  WHERE offset > (SELECT value FROM settings WHERE name = 'counted')
)
SELECT audience, minute, origin, count(*) AS events, sum(body_bytes) AS bytes FROM found GROUP BY 1, 2, 3;

CREATE VIEW uncounted_minutes AS
SELECT u.minute AS minute, 'source' AS scope, a.source AS subject,
       'accepted.' || CASE u.origin
         WHEN 0 THEN 'webhook' WHEN 1 THEN 'form' WHEN 2 THEN 'publish' WHEN 3 THEN 'poll' WHEN 4 THEN 'reconcile'
         WHEN 5 THEN 'pull' WHEN 6 THEN 'imap' WHEN 7 THEN 'edit' WHEN 8 THEN 'system' WHEN 9 THEN 'write' END AS metric,
       u.events AS count, u.bytes AS total
FROM uncounted AS u JOIN audiences AS a ON a.number = u.audience
