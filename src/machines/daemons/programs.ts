import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../config/config-error.js';
import { nodeEnv } from '../../node-env.js';
import { packageRoot } from '../../config/package-root.js';
import { fillPlaceholders } from '../../jobs/templates/placeholders.js';
import { NODE_NAME, type Layout } from '../../config/layout.js';
import { slurmdProgram } from './ssh-nodes.js';

export interface Program {
  name: string;
  user: string;
  command: string[];
  environment?: Record<string, string>;
  /** Seconds between SIGTERM and SIGKILL. */
  stopSeconds: number;
  /** Lower values start first and stop last. */
  order: number;
}

/** The process that watches the SSH hosts. */
export const SSH_WATCH = 'remote-watch';

/** The process that answers at the join port. */
export const JOIN_PORT = 'join-port';

/** The order of SSH hosts' slurmds and their watch, beside this machine's own slurmd. */
export const slurmdOrder = 50;

/** The variables of a shell that our own processes need. */
export const plainEnvironment = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  LANG: 'C.UTF-8',
  NODE_ENV: nodeEnv,
};

/** Returns the daemons in the order of their start; they stop in the reverse order. */
export function programsOf(
  layout: Layout,
  {
    api,
    sshNodes,
    sshWatch,
    joinPort,
  }: {
    api: Program;
    sshNodes: string[];
    sshWatch: Program;
    joinPort: Program | undefined;
  },
): Program[] {
  const slurmConf = { SLURM_CONF: layout.slurmConf };
  return [
    mungedProgram(layout),
    {
      name: 'mariadb',
      user: 'mysql',
      command: [
        locate('mariadbd'),
        '--no-defaults',
        `--datadir=${layout.mysqlData}`,
        `--socket=${layout.mysqlSocket}`,
        `--pid-file=${join(layout.mysqlRun, 'mariadbd.pid')}`,
        // A starting server removes the temporary tables it finds: in /tmp those of every other
        // server.
        `--tmpdir=${layout.mysqlRun}`,
        `--init-file=${join(layout.slurmEtc, 'accounting.sql')}`,
        '--skip-networking',
        // slurmdbd's advice (slurm.schedmd.com/accounting.html), scaled to one machine.
        '--innodb-buffer-pool-size=128M',
        '--innodb-lock-wait-timeout=900',
        '--performance-schema=OFF',
      ],
      stopSeconds: 30,
      order: 20,
    },
    {
      name: 'slurmdbd',
      user: 'slurm',
      command: [locate('slurmdbd'), '-D'],
      // libmariadb finds a socket in an unusual place only by this variable.
      environment: { ...slurmConf, MYSQL_UNIX_PORT: layout.mysqlSocket },
      stopSeconds: 10,
      order: 30,
    },
    {
      name: 'slurmctld',
      user: 'slurm',
      command: [locate('slurmctld'), '-D', '-f', layout.slurmConf],
      environment: slurmConf,
      stopSeconds: 10,
      order: 40,
    },
    {
      name: 'slurmd',
      user: 'root',
      command: [locate('slurmd'), '-D', '-N', NODE_NAME, '-f', layout.slurmConf],
      environment: slurmConf,
      stopSeconds: 10,
      order: slurmdOrder,
    },
    ...sshNodes.map((name) => ({
      name: slurmdProgram(name),
      user: 'root',
      command: [locate('slurmd'), '-D', '-N', name, '-f', layout.slurmConfSsh],
      environment: { SLURM_CONF: layout.slurmConfSsh },
      stopSeconds: 10,
      order: slurmdOrder,
    })),
    ...(sshNodes.length > 0 ? [sshWatch] : []),
    ...(joinPort ? [joinPort] : []),
    api,
  ];
}

export function mungedProgram(layout: Layout): Program {
  return {
    name: 'munged',
    user: 'munge',
    command: [
      locate('munged'),
      '--foreground',
      // Without it munged demands a socket that everybody can reach, jobs too.
      '--force',
      `--key-file=${join(layout.mungeFolder, 'munge.key')}`,
      `--seed-file=${join(layout.mungeFolder, 'munged.seed')}`,
      `--socket=${layout.mungeSocket}`,
      `--pid-file=${join(layout.mungeRun, 'munged.pid')}`,
      `--log-file=${join(layout.mungeFolder, 'munged.log')}`,
    ],
    stopSeconds: 5,
    order: 10,
  };
}

/** Writes the supervisor's configuration. It contains no secret: `ps` and /proc show it. */
export function writeSupervisorConfig(layout: Layout, programs: readonly Program[]): void {
  const template = readFileSync(join(packageRoot, 'docker', 'supervisord.conf'), 'utf8');
  const values: Record<string, string> = {
    run_dir: layout.run,
    logs_dir: layout.logs,
    programs: programs.map((program) => section(program, layout)).join('\n'),
  };
  const text = fillPlaceholders(template, (name) => values[name]);
  writeFileSync(layout.supervisorConf, text, { mode: 0o600 });
}

function section(program: Program, layout: Layout): string {
  const environment = Object.entries(program.environment ?? {})
    .map(([name, value]) => `${name}="${value.replaceAll('%', '%%')}"`)
    .join(',');
  return [
    `[program:${program.name}]`,
    `command=${program.command.join(' ').replaceAll('%', '%%')}`,
    `user=${program.user}`,
    'umask=022',
    `priority=${program.order}`,
    'autostart=false',
    'autorestart=true',
    'startsecs=1',
    // A daemon waits as long as its dependency takes; the pause between tries grows by a second
    // each.
    'startretries=100000',
    `stopwaitsecs=${program.stopSeconds}`,
    `environment=${environment}`,
    `directory=${program.user === 'root' || program.user === 'slurm' ? layout.run : '/'}`,
    'redirect_stderr=true',
    `stdout_logfile=${join(layout.logs, `${program.name}.log`)}`,
    'stdout_logfile_maxbytes=10MB',
    'stdout_logfile_backups=2',
    '',
  ].join('\n');
}

/** Finds a program. @throws ConfigError when it is not installed. */
export function locate(name: string): string {
  // Debian's folders; a root shell's PATH may lack the first.
  const path = ['/usr/sbin', '/usr/bin'].map((folder) => join(folder, name)).find(existsSync);
  if (path === undefined)
    throw new ConfigError(`${name} is not installed: run docker/install-packages.sh`);
  return path;
}
