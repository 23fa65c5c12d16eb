import { execa } from 'execa';
import { fillPlaceholders } from './placeholders.js';
import type { TemplateProblem } from './problem.js';

export interface BashFindings {
  problems: TemplateProblem[];
  warnings: TemplateProblem[];
}

/** Has bash read a `job.sh`, without executing any of it. */
export async function checkSyntax(body: string): Promise<BashFindings> {
  const script = fillPlaceholders(body, () => "'x'");
  let told = await readByBash(script, []);
  // Bash knows these patterns only once `shopt -s extglob` has run, and nothing runs here.
  if (told.failed) {
    const again = await readByBash(script, ['-O', 'extglob']);
    if (!again.failed) told = again;
  }
  const problem = problemIn(told.stderr);
  if (told.failed) return { problems: [problem ?? unexplained(told.stderr)], warnings: [] };
  return { problems: [], warnings: problem === undefined ? [] : [problem] };
}

/** Starts `bash -n`, which reads commands and executes none (bash(1), SHELL BUILTIN COMMANDS). */
async function readByBash(script: string, options: readonly string[]) {
  const { exitCode, stderr } = await execa(
    '/bin/bash',
    ['--norc', '--noprofile', ...options, '-n'],
    {
      input: script,
      reject: false,
      // BASH_ENV and exported functions would be read first.
      env: { LC_ALL: 'C' },
      extendEnv: false,
      timeout: 30_000,
    },
  );
  if (exitCode === undefined) throw new Error(`bash -n did not end: ${stderr.slice(0, 200)}`);
  return { failed: exitCode !== 0, stderr };
}

function problemIn(stderr: string): TemplateProblem | undefined {
  const [, line, message] = /^[^\n]*?bash: line (\d+): ([^\n]*)/m.exec(stderr) ?? [];
  if (message === undefined) return undefined;
  return { file: 'job.sh', line: Number(line), field: undefined, message: `bash: ${message}` };
}

function unexplained(stderr: string): TemplateProblem {
  const message = `bash: ${stderr.slice(0, 200) || 'the script cannot be read'}`;
  return { file: 'job.sh', line: undefined, field: undefined, message };
}
