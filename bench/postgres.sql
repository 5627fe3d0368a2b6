-- Stock and reservations in PostgreSQL. A reservation is one call: a conditional UPDATE for each line, and a row for the
-- hold with its lines and its deadline. The first line that too little is left of ends the statement, and nothing of it stays.

CREATE TABLE cell (
  sku      text   NOT NULL,
  location text   NOT NULL,
  on_hand  bigint NOT NULL,
  held     bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (sku, location)
) WITH (fillfactor = 50); -- room for the next version of a row on its page, so that indexes stay as they are (HOT)

CREATE TABLE hold (
  id         uuid        PRIMARY KEY,
  deadline   timestamptz NOT NULL,
  skus       text[]      NOT NULL,
  locations  text[]      NOT NULL,
  quantities bigint[]    NOT NULL
);
CREATE INDEX hold_deadline ON hold (deadline);

-- Lines come in the order of their SKUs: two baskets then can't wait for each other.
CREATE FUNCTION reserve(skus text[], locations text[], quantities bigint[], seconds int) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  hold_id uuid := gen_random_uuid();
BEGIN
  FOR i IN 1 .. array_length(skus, 1) LOOP
    UPDATE cell SET held = held + quantities[i]
      WHERE sku = skus[i] AND location = locations[i] AND on_hand - held >= quantities[i];
    IF NOT FOUND THEN
      RAISE EXCEPTION 'too little of line %', i USING ERRCODE = 'OH001';
    END IF;
  END LOOP;
  INSERT INTO hold VALUES (hold_id, now() + make_interval(secs => seconds), skus, locations, quantities);
  RETURN hold_id;
END $$;

-- What a shop runs every second: holds that are over give back what they hold.
CREATE FUNCTION sweep(at_most int) RETURNS bigint LANGUAGE sql AS $$
  WITH over AS (
    DELETE FROM hold WHERE id IN (
      SELECT id FROM hold WHERE deadline <= now() ORDER BY deadline LIMIT at_most FOR UPDATE SKIP LOCKED)
    RETURNING skus, locations, quantities
  ), lines AS (
    SELECT sku, location, sum(quantity) AS quantity
      FROM over, unnest(over.skus, over.locations, over.quantities) AS line (sku, location, quantity)
      GROUP BY sku, location
  ), given_back AS (
    UPDATE cell SET held = held - lines.quantity FROM lines
      WHERE cell.sku = lines.sku AND cell.location = lines.location RETURNING 1
  )
  SELECT count(*) FROM given_back
$$;
