import type { SshJobSpec } from './ssh-job-spec.js';
import type { Template } from './templates/template.js';
import type { JobPaths } from './job-folders.js';
import type { Job } from './job.js';

/** Builds the spec for the process that runs the job on an SSH host. */
export function sshJobSpec(
  job: Job,
  parts: {
    template: Template;
    dataset: { treeDir: string; originalPath: string } | undefined;
    scriptPath: string | undefined;
    commonEnv: Record<string, string>;
  },
  paths: JobPaths,
): SshJobSpec {
  const { dataset_sha: sha256, script_name: name } = job.request;
  const { template, dataset, scriptPath, commonEnv } = parts;
  return {
    job_id: job.job_id,
    comment: job.comment,
    experiment_id: job.experiment_id,
    request: job.request,
    common_env: commonEnv,
    template,
    dataset:
      sha256 === undefined || dataset === undefined
        ? null
        : { sha256, original: dataset.originalPath, tree: dataset.treeDir },
    script: scriptPath === undefined || name === undefined ? null : { name, path: scriptPath },
    output_dir: paths.outputDir,
    log_dir: paths.logDir,
  };
}
