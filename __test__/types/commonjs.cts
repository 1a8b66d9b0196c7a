import smoke = require('smokesignal')

const node: smoke.Node = smoke.createNode({ address: smoke.localIp('127.0.0.1/8') })
const peers: readonly smoke.Peer[] = node.peers.list
node.broadcast.emit('anything', peers.length, { goes: true })

// @ts-expect-error: there is no such function
smoke.createServer()
