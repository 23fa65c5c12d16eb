/** Nodes, partitions and accounting of an external cluster. */
export interface ClusterPlan {
  nodes: PlannedNode[];
  /** Lines of slurm.conf without `PartitionName=`; one of them is the default. */
  partitions: string[];
  hasAccounting: boolean;
}

interface PlannedNode {
  name: string;
  /** Text of the node in slurm.conf. */
  has: string;
  /** Lines of gres.conf without the node; `gpu0` and the like stand for existing files. */
  gres?: string[];
}

/** Partitions whose names mean something else in our own cluster. */
export const namesOfOurs = ['main', 'ssh', 'any', 'workers'];

/**
 * One node with two whole GPUs of a type and no shards, and one without GPUs; accounting keeps no
 * comments.
 */
export const usualPlan: ClusterPlan = {
  nodes: [
    {
      name: 'g1',
      has: 'CPUs=4 RealMemory=4000 Gres=gpu:a100:2',
      gres: ['Name=gpu Type=a100 File=gpu[0-1]'],
    },
    { name: 'c1', has: 'CPUs=8 RealMemory=8000' },
  ],
  partitions: [
    'cpu Nodes=c1 Default=YES MaxTime=02:00:00 DefaultTime=00:10:00',
    'gpu Nodes=g1 MaxTime=01:00:00 MaxMemPerNode=3000',
    'all Nodes=g1,c1 MaxTime=UNLIMITED',
    ...namesOfOurs.map((name) => `${name} Nodes=c1 MaxTime=02:00:00`),
  ],
  hasAccounting: true,
};

/**
 * One node with GPUs of several types, each with a different number of shards; one with GPUs
 * without a type; no accounting.
 */
export const mixedPlan: ClusterPlan = {
  nodes: [
    {
      name: 'm1',
      has: 'CPUs=8 RealMemory=4000 Gres=gpu:a100:2,gpu:v100:1,shard:1032',
      gres: [
        ...['Name=gpu Type=a100 File=gpu[0-1]', 'Name=gpu Type=v100 File=gpu2'],
        ...['Name=shard Count=4 File=gpu0', 'Name=shard Count=4 File=gpu1'],
        'Name=shard Count=1024 File=gpu2',
      ],
    },
    {
      name: 'm2',
      has: 'CPUs=8 RealMemory=4000 Gres=gpu:2,shard:8',
      gres: ['Name=gpu File=gpu[3-4]', 'Name=shard Count=8'],
    },
  ],
  partitions: ['cpu Nodes=m2 Default=YES', 'mixed Nodes=m1'],
  hasAccounting: false,
};

export interface ClusterPorts {
  ctld: number;
  dbd: number;
  rest: number;
  /** Ports in the order of the nodes. */
  nodes: number[];
}

/** Writes the cluster's configuration files. @param root folder of the cluster */
export function configFiles(root: string, ports: ClusterPorts, plan: ClusterPlan) {
  const common = [
    'SlurmUser=slurm',
    'AuthType=auth/munge',
    `AuthInfo=socket=${root}/munge-run/socket`,
    'AuthAltTypes=auth/jwt',
    `AuthAltParameters=jwt_key=${root}/jwt.key`,
  ];
  const accounting = [
    'AccountingStorageType=accounting_storage/slurmdbd',
    'AccountingStorageHost=127.0.0.1',
    `AccountingStoragePort=${ports.dbd}`,
    `AccountingStoragePass=${root}/munge-run/socket`,
  ];
  const slurmConf = [
    ...common,
    'ClusterName=campus',
    'SlurmctldHost=localhost(127.0.0.1)',
    `SlurmctldPort=${ports.ctld}`,
    'CredType=cred/munge',
    'MpiDefault=none',
    'CommunicationParameters=NoCtldInAddrAny,NoInAddrAny',
    `StateSaveLocation=${root}/state`,
    `SlurmdSpoolDir=${root}/spool/%n`,
    `SlurmctldPidFile=${root}/state/slurmctld.pid`,
    `SlurmdPidFile=${root}/spool/slurmd-%n.pid`,
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'JobAcctGatherType=jobacct_gather/linux',
    'SlurmdParameters=config_overrides',
    'ReturnToService=2',
    'KillWait=2',
    // Jobs start as soon as there is room, not up to 3 s later as on a busy cluster.
    'SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_Core_Memory',
    'EnforcePartLimits=ALL',
    ...(plan.hasAccounting ? accounting : []),
    `GresTypes=${plan.nodes.some(({ has }) => has.includes('shard:')) ? 'gpu,shard' : 'gpu'}`,
    ...plan.nodes.map(
      ({ name, has }, at) =>
        `NodeName=${name} NodeHostname=localhost NodeAddr=127.0.0.1 Port=${ports.nodes[at]} ${has}`,
    ),
    ...plan.partitions.map((line) => `PartitionName=${line}`),
  ];
  const gresConf = plan.nodes.flatMap(({ name, gres = [] }) =>
    gres.map((line) => `NodeName=${name} ${line.replace('File=', `File=${root}/`)}`),
  );
  const slurmdbdConf = [
    ...common,
    'DbdHost=localhost',
    'DbdAddr=127.0.0.1',
    `DbdPort=${ports.dbd}`,
    'CommunicationParameters=NoInAddrAny',
    `PidFile=${root}/state/slurmdbd.pid`,
    'StorageType=accounting_storage/mysql',
    'StorageHost=localhost',
    'StorageUser=slurm',
    'StorageLoc=slurm_acct_db',
  ];
  const text = (lines: string[]) => `${lines.join('\n')}\n`;
  return {
    slurmConf: text(slurmConf),
    gresConf: text(gresConf),
    slurmdbdConf: text(slurmdbdConf),
  };
}
