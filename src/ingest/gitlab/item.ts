import { z } from 'zod';

/** A job of a manifest, with everything needed to claim and report it. */
export const gitLabItemSchema = z.object({
  /** `<project id>/<job id>`; the project’s path may change, its id does not. */
  key: z.string(),
  title: z.string(),
  projectId: z.number(),
  projectPath: z.string(),
  /** Default branch, to which the response is committed. */
  branch: z.string(),
  jobId: z.string(),
  /** The job as written in the manifest. */
  fields: z.record(z.string(), z.unknown()),
  /** Commit whose manifest contains the job. */
  commit: z.string(),
  /** The expired claim; null for a job without a response. */
  expired: z.object({ nonce: z.string(), leaseUntil: z.number() }).nullable(),
});

export type GitLabItem = z.infer<typeof gitLabItemSchema>;

export function keyOf(projectId: number, jobId: string): string {
  return `${projectId}/${jobId}`;
}
