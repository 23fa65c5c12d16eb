import { expect, test } from '@jest/globals';
import { heldConnections, heldConnectionsLine } from '../../src/jobs/held-connections.js';
import { parseHolders } from '../../src/machines/daemons/connection-watch.js';
import { parseConnections } from '../../src/machines/daemons/tcp-tables.js';

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1AA1 00000000:0000 0A 00000000:00000000 00:00000000 00000000 64030        0 11 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1AA1 0100007F:D5B2 01 00000000:00000000 00:00000000 00000000 64030        0 12 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:D5B2 0100007F:1AA1 01 00000000:00000000 02:00000A3C 00000000 60000        0 13 2 0000000000000000 20 4 30 10 -1
   3: 0100007F:D5B4 0100007F:1AA1 02 00000001:00000000 01:00000019 00000001   995        0 14 2 0000000000000000 20 4 30 10 -1
   4: 0A00020F:D5B6 0A00020F:1AA1 01 00000000:00000000 00:00000000 00000000   995        0 15 1 0000000000000000 20 4 30 10 -1
   5: 0A00020F:D5B8 08080808:1AA1 01 00000000:00000000 00:00000000 00000000   995        0 16 1 0000000000000000 20 4 30 10 -1
   6: 0100007F:D5BA 0100007F:1AA1 06 00000000:00000000 03:00000A3C 00000000     0        0 0 3 0000000000000000
   7: 0100007F:D5BC 0100007F:1F90 01 00000000:00000000 00:00000000 00000000   995        0 17 1 0000000000000000 20 4 30 10 -1
`;
const table6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:D5BE 0000000000000000FFFF00000100007F:1AA2 01 00000000:00000000 00:00000000 00000000   995        0 18 1 0000000000000000 20 4 30 10 -1
`;
const ports = new Set([6817, 6818]);

test('connections to the ports of this machine are found in the kernel’s tables, with their users', () => {
  expect(parseConnections(table, ports, new Set(['0A00020F']))).toEqual([
    { inode: '13', uid: 60000, port: 6817 },
    { inode: '14', uid: 995, port: 6817 },
    { inode: '15', uid: 995, port: 6817 },
  ]);
  expect(parseConnections(table6, ports)).toEqual([{ inode: '18', uid: 995, port: 6818 }]);
});

test('a process that hides its files is told from one that holds connections', () => {
  expect(parseHolders('12 7 13,14\n15 - -\n')).toEqual([
    { pid: 12, claimedJob: 7, inodes: ['13', '14'] },
    { pid: 15, claimedJob: undefined, inodes: undefined },
  ]);
});

test('the log says why a job was ended for its connections, for that job alone', () => {
  const log = `hello\n${heldConnectionsLine(12, 1500, ['slurmctld', 'slurmd-gpu-0.example'])}\n`;
  expect(heldConnections(12, log)).toBe(
    'held 1500 connections to slurmctld, slurmd-gpu-0.example and was ended; Slurm’s daemons are closed to jobs',
  );
  expect(heldConnections(1, log)).toBeUndefined();
});
