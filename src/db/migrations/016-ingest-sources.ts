export const ingestSources = `
ALTER TABLE ingest_claims RENAME COLUMN route TO source;
ALTER TABLE ingest_routes RENAME TO ingest_pauses;
ALTER TABLE ingest_pauses RENAME COLUMN route TO source;
`;
