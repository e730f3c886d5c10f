using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: addresses that connections with source translation name by a number.</summary>
internal sealed class AddressBook(BalancerMaps maps)
{
    private readonly ArrayMap<IpAddress> _addresses = maps.Addresses;
    private readonly HashMap<IpAddress, uint> _numbers = maps.AddressNumbers;

    /// <summary>The address of a number; a null reference for one that cannot be.</summary>
    internal ref IpAddress Find(uint number) => ref _addresses.Find(number);

    /// <summary>The number of an address; 0 when it has none.</summary>
    internal byte NumberOf(in IpAddress address)
    {
        ref var number = ref _numbers.Find(in address);
        return Unsafe.IsNullRef(ref number) ? (byte)0 : (byte)number;
    }
}
