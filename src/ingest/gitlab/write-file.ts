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
   * Takes a file that is there with exactly this content for the one to be created, whoever asked for it: for a second try of a call whose outcome nobody
   * knows any more. Only sound when the content holds a nonce.
   */
  sameIsOurs?: boolean;
}

export interface Writing {
  requests: GitLabRequests;
  url: URL;
  file: NewContent;
  /** The file as it is on the branch now. */
  read: () => Promise<GitLabFile | undefined>;
  signal: AbortSignal | undefined;
}

/**
 * A 400 that means that the branch moved, or was locked, while the commit was made: GitLab's and Gitaly's words (app/models, lib/gitlab/git; Gitaly's
 * updateref). All other 400s are final: a protected branch, a hook's refusal.
 */
const branchMoved =
  /refresh and try again|reference (?:update|is already locked|does not point)|cannot lock ref|expected object|could not update refs|did not match expected/i;

/** What the file that is there tells about a request that was refused. */
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
    throw new GitLabFileExistsError(`${writing.file.path}: a file of that name is there already`, {
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
    throw new GitLabFileChangedError(
      `${file.path}: the file has been changed or removed meanwhile`,
      { status: 400 },
    );
}

/**
 * Asks for a commit. GitLab answers 400 to most of what can go wrong, in words that may be in the user's language, so the file itself is looked at first.
 * @throws GitLabError when the file tells nothing and the refusal is final
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
