import type { GitLabClient } from './client.js';
import type { GitLabItem } from './item.js';
import { responsePath } from './manifest.js';
import { readResponse, type Claimed } from './response.js';

/** A job’s current `response.yaml`; `claim` is undefined if another program wrote the file. */
export interface ResponseFile {
  lastCommitId: string;
  claim: Claimed | undefined;
}

/**
 * Reads a job’s response.
 * @param ref a branch or a commit
 * @returns undefined without a response: the job is not claimed
 */
export async function readResponseFile(
  client: GitLabClient,
  { projectId, jobId }: Pick<GitLabItem, 'projectId' | 'jobId'>,
  ref: string,
  signal: AbortSignal,
): Promise<ResponseFile | undefined> {
  const file = await client.readFile(projectId, responsePath(jobId), ref, signal);
  if (file === undefined) return undefined;
  return { lastCommitId: file.lastCommitId, claim: readResponse(file.content) };
}
