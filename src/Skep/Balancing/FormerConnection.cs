using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// A connection as versions before the table of records pinned it: a value of a hash table, twice, under the ends of the client's packets and under those of the backend's. Layout:
/// new address 16, new port 2, checksum difference of addresses 2, of addresses and ports 2, whether it is the backend's 1, end 1, backend 4, last seen 4, pending since 4,
/// phase 1, number of the other address 1, other port 2.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FormerConnection
{
    public IpAddress NewAddress;
    public NetworkUInt16 NewPort;
    public ushort AddressDelta;
    public ushort FullDelta;
    public byte IsReply;
    public ConnectionEnd End;
    public uint Backend;
    public uint LastSeen;
    public uint PendingSince;
    public ConnectionPhase Phase;
    public byte OtherAddress;
    public NetworkUInt16 OtherPort;

    /// <summary>Whether a table has such entries.</summary>
    internal static unsafe bool IsTable(MapShape shape) =>
        shape.Kind == MapKind.Hash && shape.KeySize == sizeof(ConnectionKey) && shape.ValueSize == sizeof(FormerConnection);

    /// <summary>The established connections of such a table as records; those with source translation and their aliases name each other by their places.</summary>
    internal static Connection[] ReadAll(MapStorage storage)
    {
        var requests = new List<(ConnectionKey Key, FormerConnection Value)>();
        var ownAddresses = new Dictionary<(IpAddress Client, IpAddress Backend, ulong Ports), IpAddress>();
        var (keys, values) = (new ConnectionKey[1024], new FormerConnection[1024]);
        var cursor = 0ul;
        bool isDone;
        do
        {
            var read = storage.ReadBatch(ref cursor, MemoryMarshal.AsBytes(keys.AsSpan()), MemoryMarshal.AsBytes(values.AsSpan()), keys.Length, out isDone);
            isDone |= read <= 0;
            for (var i = 0; i < read; i++)
            {
                var (key, value) = (keys[i], values[i]);
                if (value.IsReply == 0)
                {
                    requests.Add((key, value));
                }
                else if (value.OtherAddress != 0)
                {
                    ownAddresses[(value.NewAddress, key.Source, PortsOf(value.NewPort, key.DestinationPort, key.SourcePort, key.Protocol))] = key.Destination;
                }
            }
        }
        while (!isDone);

        var records = new List<Connection>();
        foreach (var (key, value) in requests)
        {
            var record = value.RecordFor(in key);
            if (value.OtherAddress == 0)
            {
                records.Add(record);
            }
            else if (ownAddresses.TryGetValue((key.Source, value.NewAddress, PortsOf(key.SourcePort, value.OtherPort, value.NewPort, key.Protocol)), out var own))
            {
                records.Add(record with { Ends = record.Ends | ((ulong)ConnectionKind.Translated << 56), Link = (uint)records.Count + 1 });
                records.Add(new Connection
                {
                    Client = own,
                    Backend = record.Backend,
                    Ends = value.OtherPort.Raw | (record.Ends & 0x00FF_FFFF_0000_0000) | ((ulong)ConnectionKind.Alias << 56),
                    BackendId = record.BackendId,
                    LastSeen = record.LastSeen,
                    Link = (uint)records.Count - 1,
                });
            }
        }

        return [.. records];
    }

    private readonly Connection RecordFor(in ConnectionKey key) => new()
    {
        Client = key.Source,
        Virtual = key.Destination,
        Backend = NewAddress,
        Ends = key.RawPorts | ((ulong)NewPort.Raw << 32) | ((ulong)key.Protocol << 48),
        AddressDelta = AddressDelta,
        FullDelta = FullDelta,
        BackendId = Backend,
        LastSeen = LastSeen,
        End = End,
        ClientPhase = Phase,
        Phase = ConnectionPhase.Answered,
        Stage = ConnectionStage.Established,
    };

    private static ulong PortsOf(NetworkUInt16 client, NetworkUInt16 own, NetworkUInt16 backend, uint protocol) =>
        client.Raw | ((ulong)own.Raw << 16) | ((ulong)backend.Raw << 32) | ((ulong)protocol << 48);
}
