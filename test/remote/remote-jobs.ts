import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  closeSync,
} from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layoutOf, type Layout } from '../../src/config/layout.js';
import type { JobRequest } from '../../src/jobs/job.js';
import type {
  HostsRecord,
  ResolvedHost,
  ResolvedLogin,
} from '../../src/cluster/ssh-hosts/resolved-hosts.js';
import type { SshJobSpec } from '../../src/jobs/ssh-job-spec.js';
import { installApp, type Installation } from '../../src/machines/daemons/install-app.js';
import { TemplateLibrary } from '../../src/jobs/templates/library.js';
import { newInstallationId } from '../../src/machines/ssh-hosts/installation.js';
import { packageRoot } from '../../src/config/package-root.js';
import { plainRequest } from '../unit/script-support.js';
import type { Machine, SshWorld } from './ssh-servers.js';
import { until } from '../until.js';

const idOf = (kind: '-u' | '-g', user: string) =>
  Number(execFileSync('id', [kind, user]).toString());

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The job's log as in Slurm's file: both streams and our own lines, unless it is split. */
  log: string;
  logBytes: Buffer;
  /** Empty unless the log was split. */
  stderr: string;
  outputs: string;
}

export interface JobOptions {
  request?: Partial<JobRequest>;
  dataset?: SshJobSpec['dataset'];
  script?: { name: string; content: string };
  /** The template's job.sh, instead of the one of `shell`. */
  body?: string;
  host?: string;
  gpus?: string;
  shards?: string;
  restart?: number;
}

/**
 * A JR_ROOT with only the files that the processes of SSH hosts need, and these processes as Slurm
 * would start them.
 */
export class RemoteJobs {
  readonly root = mkdtempSync(join(tmpdir(), 'jr-remote-'));
  readonly layout: Layout = layoutOf(this.root);
  readonly #uid = idOf('-u', 'jr-remote');
  readonly #gid = idOf('-g', 'jr-remote');
  readonly #children = new Set<ChildProcess>();
  #installation!: Installation;
  #lastId = 0;

  static async start(world: SshWorld): Promise<RemoteJobs> {
    const jobs = new RemoteJobs();
    await jobs.#start(world);
    return jobs;
  }

  async #start(world: SshWorld): Promise<void> {
    const { layout } = this;
    chmodSync(this.root, 0o755);
    mkdirSync(join(this.root, 'remote'));
    for (const folder of [layout.sshJobs, layout.sshKeys, layout.logs, layout.jobLogs]) {
      mkdirSync(folder);
    }
    for (const folder of [layout.sshState, layout.results, join(this.root, 'remote', 'status')]) {
      mkdirSync(folder, { mode: 0o700 });
      chownSync(folder, this.#uid, this.#gid);
    }
    const key = join(layout.sshKeys, 'id');
    copyFileSync(world.key, key);
    chmodSync(key, 0o400);
    chownSync(key, this.#uid, this.#gid);
    this.trust(...world.machines);
    this.setHosts(
      world.targets.map((target) =>
        hostOf(target, this.loginOf(target), [this.loginOf(world.jump)]),
      ),
    );
    writeFileSync(layout.sshInstallation, newInstallationId(), { mode: 0o444 });
    this.#installation = await installApp(layout);
  }

  loginOf(machine: Machine): ResolvedLogin {
    return {
      host: machine.address,
      port: machine.port,
      user: machine.user,
      identity_path: join(this.layout.sshKeys, 'id'),
      password_path: null,
    };
  }

  /** Stores a password in a file that `jr-remote` can read. */
  keepPassword(name: string, password: string): string {
    const path = join(this.layout.sshKeys, name);
    writeFileSync(path, password, { mode: 0o400 });
    chownSync(path, this.#uid, this.#gid);
    return path;
  }

  trust(...machines: Machine[]): void {
    writeFileSync(this.layout.sshKnownHosts, machines.map((m) => `${m.knownHost}\n`).join(''));
  }

  setHosts(hosts: ResolvedHost[]): void {
    const record: HostsRecord = { hosts, problem: null };
    writeFileSync(this.layout.sshHosts, JSON.stringify(record));
  }

  /** Records a job as the API does. */
  async write({ request = {}, dataset = null, script, body }: JobOptions): Promise<SshJobSpec> {
    const id = ++this.#lastId;
    const full: JobRequest = { ...plainRequest, command_key: 'shell', ...request };
    const outputDir = join(this.layout.results, String(id));
    const logDir = join(this.layout.jobLogs, String(id));
    for (const folder of [outputDir, logDir]) {
      mkdirSync(folder);
      chownSync(folder, this.#uid, this.#gid);
      chmodSync(folder, 0o2770);
    }
    const folder = join(this.layout.sshJobs, String(id));
    mkdirSync(folder);
    const scriptPath = join(folder, script?.name ?? '');
    if (script) writeFileSync(scriptPath, script.content);
    const templates = new TemplateLibrary(join(packageRoot, 'templates'), undefined);
    const template = await templates.get(full.command_key);
    const spec: SshJobSpec = {
      job_id: id,
      comment: `c0ffee${String(id).padStart(26, '0')}`,
      experiment_id: `job-${id}`,
      request: full,
      template: { ...template, ...(body !== undefined && { body }) },
      dataset,
      script: script ? { name: script.name, path: scriptPath } : null,
      output_dir: outputDir,
      log_dir: logDir,
    };
    writeFileSync(join(folder, 'spec.json'), JSON.stringify(spec));
    return spec;
  }

  /** Starts the process that Slurm starts for a job. */
  start(spec: SshJobSpec, options: JobOptions = {}): RunningJob {
    const stdout = join(spec.log_dir, 'stdout.log');
    const log = openSync(stdout, 'a');
    const isSplit = spec.request.split_log === true;
    const errors = isSplit ? openSync(join(spec.log_dir, 'stderr.log'), 'a') : log;
    const child = this.#spawn(['remote-run', String(spec.job_id)], [log, errors], {
      SLURMD_NODENAME: options.host ?? 'gpu-0',
      SLURM_JOB_ID: String(1000 + spec.job_id),
      ...(options.gpus !== undefined && { SLURM_JOB_GPUS: options.gpus }),
      ...(options.shards !== undefined && { SLURM_SHARDS_ON_NODE: options.shards }),
      SLURM_RESTART_COUNT: String(options.restart ?? 0),
    });
    closeSync(log);
    if (isSplit) closeSync(errors);
    return new RunningJob(spec, child);
  }

  /** Runs a job until it ends. */
  async run(options: JobOptions): Promise<Ended> {
    return (await this.begin(options)).ended();
  }

  async begin(options: JobOptions): Promise<RunningJob> {
    return this.start(await this.write(options), options);
  }

  /** Starts the watch over the hosts. */
  watch(environment: Record<string, string> = {}): ChildProcess {
    return this.#spawn(['remote-watch'], ['ignore', 'ignore'], environment);
  }

  #spawn(
    args: string[],
    streams: [number, number] | ['ignore', 'ignore'],
    environment: Record<string, string>,
  ): ChildProcess {
    const { node, root } = this.#installation;
    const as = ['--reuid=jr-remote', '--regid=jr-remote', '--init-groups'];
    const child = spawn('setpriv', [...as, node, join(root, 'dist/main.js'), ...args], {
      env: {
        PATH: '/usr/bin:/bin',
        JR_ROOT: this.root,
        JR_SSH_ALIVE_INTERVAL: '1',
        ...environment,
      },
      stdio: ['ignore', ...streams],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await until('our programs have ended', () => this.#children.size === 0);
    rmSync(this.root, { recursive: true, force: true });
  }
}

export class RunningJob {
  readonly #exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(
    readonly spec: SshJobSpec,
    readonly child: ChildProcess,
  ) {
    this.#exit = new Promise((fulfil) => {
      child.once('exit', (code, signal) => {
        fulfil({ code, signal });
      });
    });
  }

  get log(): string {
    return readFileSync(join(this.spec.log_dir, 'stdout.log'), 'utf8');
  }

  /** Waits for a text in the job's log. */
  async says(text: string): Promise<void> {
    await until(`the log holds "${text}"`, (saw) => {
      saw(this.log);
      return this.log.includes(text);
    });
  }

  async ended(): Promise<Ended> {
    const end = setTimeout(120_000, undefined, { ref: false }).then(() => {
      throw new Error(`the job does not end; its log: ${this.log}`);
    });
    const { code, signal } = await Promise.race([this.#exit, end]);
    const logBytes = readFileSync(join(this.spec.log_dir, 'stdout.log'));
    const stderr = join(this.spec.log_dir, 'stderr.log');
    return {
      code,
      signal,
      log: logBytes.toString(),
      logBytes,
      stderr: existsSync(stderr) ? readFileSync(stderr, 'utf8') : '',
      outputs: this.spec.output_dir,
    };
  }
}

export function hostOf(
  machine: Machine,
  login: ResolvedLogin,
  proxyJump: ResolvedLogin[],
): ResolvedHost {
  return {
    name: machine.name,
    ...login,
    proxy_jump: proxyJump,
    gpus: { count: 2, type: 'H100', memory_gb: 80 },
    cpus: 4,
    memory_gb: 8,
    workdir: 'jobrunner',
    labels: {},
    leaving: false,
  };
}
