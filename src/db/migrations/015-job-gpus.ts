export const jobGpus = `
-- What gres says as data: {"on": [2], "shards": 60}; null for no GPU, and where an external Slurm counts its own.
ALTER TABLE jobs ADD COLUMN gpu_shards TEXT;
-- Each part of gres is shard:60, or shard:nvidia2:60 where it names GPU 2. All parts have as many shards.
UPDATE jobs SET gpu_shards = (
  SELECT json_object(
    'on', json_group_array(CAST(substr(name, length(rtrim(name, '0123456789')) + 1) AS INTEGER)) FILTER (WHERE name LIKE 'shard:%'),
    'shards', max(shards)
  )
  FROM (
    SELECT
      rtrim(rtrim(value, '0123456789'), ':') AS name,
      CAST(substr(value, length(rtrim(value, '0123456789')) + 1) AS INTEGER) AS shards
    FROM json_each('["' || replace(gres, ',', '","') || '"]')
  )
) WHERE gres LIKE 'shard:%';
`;
