using Skep.Packets;

namespace Skep.Balancing;

/// <summary>User half: the numbers by which connections name addresses. One that a connection still names is not given to another address.</summary>
internal sealed class AddressTable
{
    private readonly BalancerMaps _maps;
    private readonly Dictionary<IpAddress, byte> _numbers = [];

    /// <summary>Takes over the numbers that an earlier agent gave.</summary>
    internal AddressTable(BalancerMaps maps)
    {
        _maps = maps;
        var entries = maps.Addresses.Entries;
        for (var number = 1; number < entries.Length; number++)
        {
            if (entries[number] != default && _numbers.TryAdd(entries[number], (byte)number))
            {
                maps.AddressNumbers.TrySet(in entries[number], (uint)number);
            }
        }
    }

    /// <summary>Whether any address has a number: connections with source translation may exist.</summary>
    internal bool IsUsed => _numbers.Count > 0;

    /// <summary>Whether any address has a number and is not among <paramref name="wanted"/>.</summary>
    internal bool HasOthersThan(IReadOnlySet<IpAddress> wanted) => _numbers.Keys.Any(a => !wanted.Contains(a));

    /// <summary>Gives an address a number; false when all are taken.</summary>
    /// <param name="address">The address.</param>
    /// <param name="wanted">Addresses that keep their numbers whether connections name them or not.</param>
    /// <param name="number">The number.</param>
    internal bool TryNumber(IpAddress address, Func<IReadOnlySet<IpAddress>> wanted, out byte number)
    {
        if (_numbers.TryGetValue(address, out number))
        {
            return true;
        }

        if (_numbers.Count == BalancerMaps.MaxAddresses)
        {
            Release(wanted());
        }

        var entries = _maps.Addresses.Entries;
        for (var free = 1; free < entries.Length; free++)
        {
            if (entries[free] == default)
            {
                entries[free] = address;
                number = (byte)free;
                if (_maps.AddressNumbers.TrySet(in address, number) < 0)
                {
                    entries[free] = default;
                    return false;
                }

                _numbers.Add(address, number);
                return true;
            }
        }

        return false;
    }

    /// <summary>Takes the numbers back of addresses that are not wanted and that no connection names; reads the whole connection table.</summary>
    internal void Release(IReadOnlySet<IpAddress> wanted)
    {
        var named = new bool[BalancerMaps.MaxAddresses + 1];
        _maps.ReadConnections((_, connection) => named[connection.OtherAddress] = true);
        foreach (var (address, number) in _numbers.Where(n => !named[n.Value] && !wanted.Contains(n.Key)).ToArray())
        {
            _maps.AddressNumbers.Remove(in address);
            _maps.Addresses.Entries[number] = default;
            _numbers.Remove(address);
        }
    }
}
