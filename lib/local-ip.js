'use strict'

const { SmokeError, argumentError } = require('./errors')
const { loadBinding } = require('./native')

/** The address of this machine that lies in `subnet`, such as `192.168.2.0/24`. */
function localIp(subnet) {
  const found = typeof subnet === 'string' ? loadBinding().localIp(subnet) : null
  if (found === null) {
    const message = `not a subnet such as '192.168.2.0/24' or '192.168.2.1/255.255.255.0': ${String(subnet)}`
    throw argumentError(TypeError, 'ERR_SMOKE_SUBNET', message)
  }
  if (typeof found === 'string') return found
  const message = `Couldn't determine IP address: none in ${subnet} among ${found.join(', ')}`
  throw new SmokeError('ERR_SMOKE_NO_ADDRESS', message)
}

module.exports = { localIp }
