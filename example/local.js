'use strict'

const { createNode } = require('smokesignal')

/**
 * Starts a node on this machine. The first one takes the port (8495, or the environment's PORT);
 * the others enter the network through it. `prepare` adds listeners before the node starts.
 */
async function startLocal(prepare, options) {
  const seed = { address: '127.0.0.1', port: Number(process.env.PORT ?? 8495) }
  const start = async (port) => {
    const node = createNode({ address: seed.address, port, seeds: [seed], ...options })
    prepare(node)
    await node.start()
    process.once('SIGINT', () => node.stop())
    return node
  }
  try {
    return await start(seed.port)
  } catch (error) {
    if (error.code === 'EADDRINUSE') return start(0) // somebody else is the seed
    throw error
  }
}

module.exports = { startLocal }
