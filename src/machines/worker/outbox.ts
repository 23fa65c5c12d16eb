import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const entrySchema = z.strictObject({
  job_id: z.number().int(),
  slurm_job_id: z.number().int(),
  /** True when it has ended. */
  ended: z.boolean(),
  /** SHA-256 of the archive of its outputs, once that is made. */
  archive: z.string().nullable(),
  /** SHA-256 of the dataset that it uses. */
  dataset: z.string().nullable().default(null),
});
export type OutboxEntry = z.infer<typeof entrySchema>;

/** The jobs with results still to send, on the disk, so that a restart forgets none. */
export class Outbox {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  all(): OutboxEntry[] {
    return readdirSync(this.#folder)
      .filter((name) => /^\d+\.json$/.test(name))
      .map((name) => entrySchema.parse(JSON.parse(readFileSync(join(this.#folder, name), 'utf8'))));
  }

  write(entry: OutboxEntry): void {
    const path = join(this.#folder, `${entry.job_id}.json`);
    writeFileSync(`${path}.new`, JSON.stringify(entry), { flush: true });
    renameSync(`${path}.new`, path);
  }

  archiveOf(jobId: number): string {
    return join(this.#folder, `${jobId}.tar`);
  }

  remove(jobId: number): void {
    rmSync(this.archiveOf(jobId), { force: true });
    rmSync(join(this.#folder, `${jobId}.json`), { force: true });
  }
}
