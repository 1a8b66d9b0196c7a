'use strict'

// What docs/addresses.md says of Docker and Kubernetes: its program, with its variables, on hosts
// that have its addresses and names.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const yaml = require('js-yaml')
const { pages } = require('../docs/pages')
const { mapPort, namesFor } = require('../support/hosts')
const { Lan, unavailable } = require('../support/namespaces')
const { Program, killAll } = require('../support/process')

const PATIENCE = 15_000
const [{ blocks }] = pages().filter(({ page }) => page.endsWith('addresses.md'))
const [compose, manifests] = blocks
  .filter(({ language }) => language === 'yaml')
  .map(({ text }) => yaml.loadAll(text))
const APP = path.join(__dirname, '..', 'fixtures', 'app.js')

/** Hosts at these addresses; `start` runs the page's program on one of them. */
async function hostsAt(t, addresses) {
  const lan = await Lan.create(addresses)
  const programs = []
  t.after(async () => {
    await killAll(programs)
    await lan.destroy()
  })
  const start = (host, env) => {
    const program = new Program([APP], { env, namespace: lan.hosts[host].namespace })
    programs.push(program)
    return program
  }
  return { hosts: lan.hosts, start, keep: (program) => programs.push(program) && program }
}

const hears = (program, address) =>
  program.until(() => program.out.includes(`a peer at ${address}\n`), PATIENCE, 'it has a peer')

/** SIGTERM ends it, without an error. */
async function ends(program) {
  program.signal('SIGTERM')
  await program.exited(PATIENCE)
  assert.deepEqual([program.exit, program.err], [{ code: 0, signal: null }, ''], program.dump())
}

describe('containers', { skip: unavailable() ?? false, timeout: 120_000 }, () => {
  test("the page's program is the one that these tests run", () => {
    const [{ text }] = blocks.filter(({ name }) => name === 'app.js')
    const run = fs.readFileSync(APP, 'utf8').replace(`require('../..')`, `require('smokesignal')`)
    assert.equal(run, text)
  })

  test('containers of one Docker network', async (t) => {
    const { hosts, start } = await hostsAt(t, ['172.18.0.2', '172.18.0.3'])
    for (const host of hosts) namesFor(t, host)('172.18.0.2 seed')
    const { seed, worker } = compose[0].services
    const [first, second] = [start(0, seed.environment), start(1, worker.environment)]
    await hears(first, '172.18.0.3')
    await hears(second, '172.18.0.2')
    await ends(second)
    await ends(first)
  })

  test('containers on two Docker hosts, each with a published port', async (t) => {
    const addresses = ['192.168.2.7', '192.168.2.8', '192.168.2.107', '192.168.2.108']
    const { hosts, start, keep } = await hostsAt(t, addresses)
    const [{ text }] = blocks.filter(({ text }) => text.startsWith('docker run'))
    const variables = [...text.matchAll(/-e (SMOKE_[A-Z]+)=(\S+)/g)].map(([, ...pair]) => pair)
    const one = Object.fromEntries(variables)
    const [, from, to] = /-p (\d+):(\d+)/.exec(text).map(Number)
    for (const [inner, gateway] of [
      [hosts[2], hosts[0]],
      [hosts[3], hosts[1]],
    ]) {
      await mapPort(t, { inner, gateway, from, to, keep })
    }
    // The other host has the same, with the addresses the other way round.
    const other = { ...one, SMOKE_ADDRESS: '192.168.2.8', SMOKE_SEEDS: '192.168.2.7:9000' }
    const [first, second] = [start(2, one), start(3, other)]
    await first.until(() => first.out.includes('a peer at'), PATIENCE, 'it has a peer')
    await second.until(() => second.out.includes('a peer at'), PATIENCE, 'it has a peer')
    await ends(second)
    await ends(first)
  })

  test('the pods of a Deployment, and a headless Service that names them all', async (t) => {
    const [service, deployment] = manifests
    const { replicas, template } = deployment.spec
    const addresses = ['10.42.0.2', '10.42.0.3', '10.42.0.4']
    assert.equal(replicas, addresses.length)
    const { hosts, start } = await hostsAt(t, addresses)
    const names = addresses.map((address) => `${address} ${service.metadata.name}`).join('\n')
    const [{ env }] = template.spec.containers
    const pods = hosts.map((host, index) => {
      namesFor(t, host)(names)
      const value = (one) => one.value ?? { 'status.podIP': host.address }[pathOf(one)]
      return start(index, Object.fromEntries(env.map((one) => [one.name, value(one)])))
    })
    for (const [index, pod] of pods.entries()) {
      for (const address of addresses.filter((_, other) => other !== index)) {
        await hears(pod, address)
      }
    }
    for (const pod of pods) await ends(pod)
  })
})

const pathOf = ({ valueFrom }) => valueFrom.fieldRef.fieldPath
