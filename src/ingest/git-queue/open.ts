import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GitQueueConfig } from '../../config/git-queue.js';
import { packageRoot } from '../../config/package-root.js';
import { openLoop } from '../open-loop.js';
import type { IngestContext } from '../open-source.js';
import type { RunningSource } from '../running-sources.js';
import { runGit } from './git.js';
import { Queue } from './queue.js';
import { Repository } from './repository.js';
import { GitQueueSource } from './source.js';
import { serviceGit } from './transport.js';

const MB = 1024 ** 2;

/** Overrides a repository's own attributes, so that a job's checkout holds the committed bytes. */
const plainAttributes =
  '* -text -eol -ident -filter -export-ignore -export-subst -working-tree-encoding\n';

/** Opens the git queue of the settings; undefined if they name none. @throws GitError */
export async function openGitQueue(context: IngestContext): Promise<RunningSource | undefined> {
  const { gitQueue } = context.config;
  if (gitQueue === undefined) return undefined;
  return openLoop(context, await openSource(context, gitQueue), gitQueue);
}

/** Keeps a copy of the repository in the service's folder. */
async function openSource(
  { config, layout, gpuCount, now }: IngestContext,
  settings: GitQueueConfig,
): Promise<GitQueueSource> {
  const { url, branch, queueFile, by, credentials } = settings;
  const askpass = join(packageRoot, 'libexec', 'git-askpass.sh');
  const home = layout.gitQueue;
  const git = serviceGit({ url, home, askpass, credentials, mayUseFiles: settings.isLocal });
  const name = createHash('sha256').update(url).digest('hex').slice(0, 16);
  const gitDir = join(home, `${name}.git`);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  await runGit(git, ['init', '--quiet', '--bare', '--template=', gitDir]);
  mkdirSync(join(gitDir, 'info'), { recursive: true });
  writeFileSync(join(gitDir, 'info', 'attributes'), plainAttributes);
  const repository = new Repository({ git, url, branch, gitDir, shallow: true, name: 'service' });
  return new GitQueueSource({
    queue: new Queue({ repository, queueFile, by, now }),
    resultsDir: settings.resultsDir,
    limits: { fileBytes: settings.maxResultBytes, totalBytes: 100 * MB, files: 1000 },
    maxJobAttempts: settings.maxJobAttempts,
    leaseMs: config.ingest.leaseMs,
    gpus: settings.gpus ?? Math.min(1, gpuCount),
    now,
  });
}
