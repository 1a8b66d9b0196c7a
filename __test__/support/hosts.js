'use strict'

// What tests do to the hosts of a `Lan`: commands, names, forwarded ports.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')
const { Program } = require('./process')

const run = promisify(execFile)
const PATIENCE = 15_000

/** Runs a command on a host. */
const on = (host, ...command) => run('ip', ['netns', 'exec', host.namespace, ...command])

/** A TCP forwarder, for machines without nftables: `node -e FORWARDER from to-host to-port`. */
const FORWARDER = `
const net = require('node:net')
const [from, host, port] = process.argv.slice(1)
net.createServer((near) => {
  const far = net.connect(Number(port), host)
  for (const socket of [near, far]) socket.on('error', () => {})
  near.on('close', () => far.destroy())
  far.on('close', () => near.destroy())
  near.pipe(far).pipe(near)
}).listen(Number(from), '0.0.0.0', () => console.log('forwards'))
`

/** Has `gateway` forward its port `from` to the port `to` of `inner`. */
async function mapPort(t, { inner, gateway, from, to, keep }) {
  if (await hasNft(gateway)) {
    await on(gateway, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
    const rules = [
      'add table ip smoke',
      'add chain ip smoke pre { type nat hook prerouting priority dstnat; }',
      'add chain ip smoke post { type nat hook postrouting priority srcnat; }',
      `add rule ip smoke pre tcp dport ${from} dnat to ${inner.address}:${to}`,
      `add rule ip smoke post ip daddr ${inner.address} masquerade`,
    ]
    return on(gateway, 'nft', rules.join('; '))
  }
  t.diagnostic('without nftables: a program forwards the port')
  const args = ['-e', FORWARDER, String(from), inner.address, String(to)]
  const program = keep(new Program(args, { namespace: gateway.namespace }))
  await program.until(() => program.out.includes('forwards'), PATIENCE, 'it forwards')
}

async function hasNft(host) {
  try {
    await on(
      host,
      'nft',
      'add table ip probe; add chain ip probe a { type nat hook output priority 0; }',
    )
    return true
  } catch {
    return false
  }
}

/** A host's own file of names: `ip netns exec` puts it in the place of /etc/hosts. */
function namesFor(t, { namespace }) {
  const folder = path.join('/etc/netns', namespace)
  fs.mkdirSync(folder, { recursive: true })
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  return (line) => fs.writeFileSync(path.join(folder, 'hosts'), `127.0.0.1 localhost\n${line}\n`)
}

module.exports = { mapPort, namesFor, on }
