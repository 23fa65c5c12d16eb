import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../config/config-error.js';
import { errnoOf } from '../../errors.js';
import type { Layout } from '../../config/layout.js';
import { packageRoot } from '../../config/package-root.js';

/**
 * Returns the folder of built-in templates, whose programs jobs run on the external cluster's
 * nodes.
 */
export function externalTemplates(layout: Pick<Layout, 'app'>): string {
  return join(layout.app, 'templates');
}

/**
 * Makes all folders under `JR_ROOT`, as the API's user. Folders where jobs write belong to the
 * group; the database and the secrets belong to the API's user alone.
 * @param gid undefined for that user's own group
 * @throws ConfigError
 */
export function makeExternalFolders(layout: Layout, gid: number | undefined): void {
  const closed = [layout.databaseFolder, layout.secrets];
  const shared = [layout.datasets, layout.results, layout.jobLogs, layout.jobScripts];
  try {
    mkdirSync(layout.root, { recursive: true, mode: 0o755 });
    accessSync(layout.root, constants.W_OK | constants.X_OK);
    for (const path of closed) folder(path, 0o700);
    for (const path of [layout.logs, layout.run, layout.sshJobs]) folder(path, 0o755);
    for (const path of shared) folder(path, 0o2750);
    folder(dirname(layout.jobEnded), 0o2770);
    const templates = externalTemplates(layout);
    cpSync(join(packageRoot, 'templates'), templates, { recursive: true });
  } catch (cause) {
    throw new ConfigError(
      `JR_ROOT: cannot set up ${layout.root} (${errnoOf(cause) ?? String(cause)}); name a folder of the shared file system that this user can write`,
      { cause },
    );
  }

  function folder(path: string, mode: number): void {
    if (!existsSync(path)) mkdirSync(path, { recursive: true, mode: 0o755 });
    if (gid !== undefined && (mode & 0o2000) !== 0) chownSync(path, process.getuid?.() ?? -1, gid);
    // After chown, which clears the set-group-ID bit, and regardless of the umask.
    chmodSync(path, mode);
  }
}
