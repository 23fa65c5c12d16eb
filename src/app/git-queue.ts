import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GitQueueConfig } from '../config/git-queue.js';
import { runGit } from '../ingest/git-queue/git.js';
import { Queue } from '../ingest/git-queue/queue.js';
import { Repository } from '../ingest/git-queue/repository.js';
import { GitQueueSource } from '../ingest/git-queue/source.js';
import { serviceGit } from '../ingest/git-queue/transport.js';
import { packageRoot } from '../config/package-root.js';
import type { Base } from './base.js';
import { gpuCountOf, type Cluster } from './cluster.js';

const MB = 1024 ** 2;

/** Overrides the repository's attributes, so that none changes the files of a job's checkout. */
const plainAttributes =
  '* -text -eol -ident -filter -export-ignore -export-subst -working-tree-encoding\n';

/**
 * Opens the configured queue, with a copy of its repository in the service's folder.
 * @throws GitError
 */
export async function openGitQueue(
  { config, layout, now }: Base,
  cluster: Cluster,
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
    gpus: settings.gpus ?? Math.min(1, gpuCountOf(cluster)),
    now,
  });
}
