-- events.origin  There are more origins than 0 to 6 now: 7 is an edited copy. The program is what limits them, so that
--                a later one needs no scan of the log.

ALTER TABLE events DROP CONSTRAINT events_origin_check;
