import { expect } from '@jest/globals';
import { GitLabError } from '../../src/ingest/gitlab/errors.js';

/** Returns the error, after checking that neither it nor its causes show the token. */
export async function failureOf(work: Promise<unknown>, token: string): Promise<GitLabError> {
  try {
    await work;
  } catch (error) {
    for (let each: unknown = error; each instanceof Error; each = each.cause)
      expect(`${each.message} ${each.stack} ${JSON.stringify(each)}`).not.toContain(token);
    if (error instanceof GitLabError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
