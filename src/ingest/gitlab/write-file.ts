import { GitLabFileChangedError, GitLabFileExistsError } from './errors.js';
import type { GitLabFile } from './replies.js';
import type { GitLabRequests } from './request.js';

export interface NewContent {
  path: string;
  branch: string;
  content: string | Buffer;
  message: string;
}

export interface CreateOptions {
  /**
   * Treats an existing file with exactly this content as ours. Use it to repeat a call whose
   * outcome is unknown, and only if the content contains a nonce.
   */
  sameIsOurs?: boolean;
}

export interface Writing {
  requests: GitLabRequests;
  url: URL;
  file: NewContent;
  /** Reads the file from the branch as it is now. */
  read: () => Promise<GitLabFile | undefined>;
  signal: AbortSignal | undefined;
}

/**
 * Messages of a 400 which mean that the branch moved or was locked during the commit: GitLab’s and
 * Gitaly’s (app/models, lib/gitlab/git; Gitaly’s updateref). All other 400s are final, such as a
 * protected branch or a hook’s refusal.
 */
const branchMoved =
  /refresh and try again|reference (?:update|is already locked|does not point)|cannot lock ref|expected object|could not update refs|did not match expected/i;

/** Conclusion about a refused request, drawn from the existing file. */
type Finding = 'ours' | 'not-ours' | 'nothing';

/** @throws GitLabFileExistsError see `GitLabClient.createFile` */
export async function createFile(
  writing: Writing,
  { sameIsOurs = false }: CreateOptions,
): Promise<void> {
  let mayBeOurs = sameIsOurs;
  const outcome = await write(writing, 'POST', {
    onLost: () => (mayBeOurs = true),
    judge: (there) => {
      if (there === undefined) return 'nothing';
      return mayBeOurs && there.content.equals(bytesOf(writing.file)) ? 'ours' : 'not-ours';
    },
  });
  if (outcome === 'not-ours')
    throw new GitLabFileExistsError(`${writing.file.path}: the file already exists`, {
      status: 400,
    });
}

/** @throws GitLabFileChangedError see `GitLabClient.updateFile` */
export async function updateFile(writing: Writing, lastCommitId: string): Promise<void> {
  const { file } = writing;
  const outcome = await write(writing, 'PUT', {
    lastCommitId,
    judge: (there) => {
      if (there === undefined) return 'not-ours';
      if (there.content.equals(bytesOf(file))) return 'ours';
      return there.lastCommitId === lastCommitId ? 'nothing' : 'not-ours';
    },
  });
  if (outcome === 'not-ours')
    throw new GitLabFileChangedError(`${file.path}: the file was changed or removed meanwhile`, {
      status: 400,
    });
}

/**
 * Requests a commit. GitLab answers 400 to most failures, with a message that may be in the user’s
 * language, so the file itself is examined first.
 * @throws GitLabError when the file decides nothing and the refusal is final
 */
async function write(
  { requests, url, file, read, signal }: Writing,
  method: 'POST' | 'PUT',
  {
    judge,
    onLost,
    lastCommitId,
  }: {
    judge: (there: GitLabFile | undefined) => Finding;
    onLost?: () => void;
    lastCommitId?: string;
  },
): Promise<'ours' | 'not-ours'> {
  let finding = 'ours' as Finding;
  const reply = await requests.send(
    {
      method,
      url,
      body: {
        branch: file.branch,
        commit_message: file.message,
        encoding: 'base64',
        content: bytesOf(file).toString('base64'),
        ...(lastCommitId !== undefined && { last_commit_id: lastCommitId }),
      },
    },
    {
      signal,
      expected: [400],
      ...(onLost && { onLost }),
      judge: async ({ body }) => {
        finding = judge(await read());
        return finding !== 'nothing' || !branchMoved.test(body);
      },
    },
  );
  if (reply.status !== 400) return 'ours';
  if (finding === 'nothing') throw requests.errorOf(reply, url);
  return finding;
}

function bytesOf({ content }: NewContent): Buffer {
  return Buffer.isBuffer(content) ? content : Buffer.from(content);
}
