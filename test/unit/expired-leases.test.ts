import { expect, test } from '@jest/globals';
import { ExpiredLeases } from '../../src/ingest/expired-leases.js';

const leaseMs = 9000;

test('a claim may be taken over a third of a lease after it was first seen expired', () => {
  let now = 10_000;
  const leases = new ExpiredLeases(leaseMs, () => now);
  const claim = { nonce: 'n', leaseUntil: 9000 };
  expect(leases.mayTakeOver('a', claim)).toBe(false);
  now += leaseMs / 3 - 1;
  expect(leases.mayTakeOver('a', claim)).toBe(false);
  now += 1;
  expect(leases.mayTakeOver('a', claim)).toBe(true);
  expect(leases.mayTakeOver('a', { ...claim, nonce: 'other' })).toBe(false);
});

test('claims that have disappeared are soon forgotten, and present ones stay known', () => {
  let now = 10_000;
  const leases = new ExpiredLeases(leaseMs, () => now);
  const kept = { nonce: 'n', leaseUntil: 0 };
  leases.beginScan();
  leases.mayTakeOver('kept', kept);
  for (let i = 0; i < 1000; i++) leases.mayTakeOver(`gone ${i}`, { nonce: `${i}`, leaseUntil: 0 });
  for (let i = 0; i < 3; i++) {
    expect(leases.size).toBe(1001);
    now += leaseMs / 2;
    leases.beginScan();
    expect(leases.mayTakeOver('kept', kept)).toBe(true);
  }
  expect(leases.size).toBe(1);
});
