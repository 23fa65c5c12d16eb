import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { listenForOwner } from '../../src/auth/owner-socket.js';
import { closeServer } from '../../src/http/server.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-owner-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('the owner’s socket opens in no folder that others can enter', async () => {
  const path = join(folder, 'owner.sock');
  for (const mode of [0o755, 0o701, 0o750]) {
    chmodSync(folder, mode);
    await expect(listenForOwner(express(), path)).rejects.toThrow('mode 700');
  }
  chmodSync(folder, 0o700);
  chownSync(folder, 12_345, 12_345);
  await expect(listenForOwner(express(), path)).rejects.toThrow('mode 700');
});

test('the owner’s socket takes the place of one that a killed process left', async () => {
  const path = join(folder, 'owner.sock');
  writeFileSync(path, '');
  const server = await listenForOwner(express(), path);
  await closeServer(server, 1000);
});
