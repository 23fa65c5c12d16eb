import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sha256 } from '../../src/datasets/digest.js';
import type { SshJobSpec } from '../../src/jobs/ssh-job-spec.js';

type Dataset = NonNullable<SshJobSpec['dataset']>;

/**
 * Makes a dataset as the store keeps it, of the files that `fill` (bash) makes in its working
 * folder.
 */
export function makeDataset(root: string, fill: string): Dataset {
  const folder = mkdtempSync(join(root, 'dataset-'));
  mkdirSync(join(folder, 'tree'));
  execFileSync('bash', ['-ec', fill], { cwd: join(folder, 'tree') });
  execFileSync('tar', ['-cf', '../original', '.'], { cwd: join(folder, 'tree') });
  return described(folder);
}

/** A dataset that is no archive: its tree is the original under its name. */
export function makePlainDataset(root: string, name: string, fill: string): Dataset {
  const folder = mkdtempSync(join(root, 'dataset-'));
  mkdirSync(join(folder, 'tree'));
  execFileSync('bash', ['-ec', fill], { cwd: folder });
  linkSync(join(folder, 'original'), join(folder, 'tree', name));
  return described(folder);
}

function described(folder: string): Dataset {
  execFileSync('chmod', ['-R', 'a+rX', folder]);
  const sha256 = createHash('sha256')
    .update(readFileSync(join(folder, 'original')))
    .digest('hex') as Sha256;
  return { sha256, original: join(folder, 'original'), tree: join(folder, 'tree') };
}
