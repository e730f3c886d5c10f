using System.Buffers.Binary;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Elf;

/// <summary>
/// Where the arguments of USDT probes are, told to objects that read them by libbpf's <c>usdt.bpf.h</c>: an entry of the array <c>__bpf_usdt_specs</c> for
/// each place of a probe, whose number the program gets as the cookie of the link (kernel 5.15; for older kernels the header has a second map, which
/// stays empty).
/// <code>
/// entry, 208 bytes:     0 args[12]:192   192 cookie:8   200 arg_cnt:2   202 padding:6
/// argument, 16 bytes:   0 val_off:8   8 arg_type:4   12 reg_off:2   14 arg_signed:1   15 arg_bitshift:1
/// </code>
/// </summary>
internal sealed class UsdtSpecs
{
    internal const string MapName = "__bpf_usdt_specs";

    private const int MostArguments = 12, ArgumentSize = 16, EntrySize = 208, CookieOffset = 192, CountOffset = 200;

    private readonly UntypedMap _map;
    private readonly Dictionary<(string Arguments, ulong Cookie), uint> _known = [];

    private UsdtSpecs(UntypedMap map) => _map = map;

    /// <summary>Of an object that has the map; null when none of its programs reads arguments.</summary>
    /// <exception cref="NotSupportedException">The map is another one than that of the header.</exception>
    internal static UsdtSpecs? Of(IEnumerable<UntypedMap> maps)
    {
        if (maps.FirstOrDefault(m => m.Name == MapName) is not { } map)
        {
            return null;
        }

        return map is { Kind: MapKind.Array, ValueSize: EntrySize, KeySize: sizeof(uint) } ? new UsdtSpecs(map) : throw new NotSupportedException(
            $"Map '{MapName}' is no array of {EntrySize} bytes ({map.Kind}, {map.ValueSize}): the object was compiled with a usdt.bpf.h that is not known here.");
    }

    /// <summary>The number of the entry for a place of a probe; places alike share one.</summary>
    /// <exception cref="NotSupportedException">An argument stands where it cannot be read, or the map is full.</exception>
    internal uint NumberOf(UsdtSite site, ulong cookie)
    {
        if (_known.TryGetValue((site.Arguments, cookie), out var known))
        {
            return known;
        }

        var number = (uint)_known.Count;
        if (number >= _map.MaxEntries)
        {
            throw new NotSupportedException($"More than {_map.MaxEntries} different places of probes: define BPF_USDT_MAX_SPEC_CNT larger when compiling the object.");
        }

        BpfException.ThrowIfFailed(_map.Storage.Write(BitConverter.GetBytes(number), Entry(site, cookie), 0), $"Writing map '{MapName}' failed");
        _known.Add((site.Arguments, cookie), number);
        return number;
    }

    /// <summary>The entry for a place of a probe.</summary>
    internal static byte[] Entry(UsdtSite site, ulong cookie)
    {
        var entry = new byte[EntrySize];
        var count = Math.Min(site.ArgumentCount, MostArguments);
        for (var i = 0; i < count; i++)
        {
            var argument = site.Argument(i);
            var (kind, value, register) = argument.Place;
            var at = entry.AsSpan(i * ArgumentSize);
            BinaryPrimitives.WriteInt64LittleEndian(at, value);
            BinaryPrimitives.WriteInt32LittleEndian(at[8..], (int)kind);
            BinaryPrimitives.WriteInt16LittleEndian(at[12..], (short)(register * sizeof(ulong)));
            at[14] = argument.IsSigned ? (byte)1 : (byte)0;
            at[15] = (byte)((sizeof(ulong) - argument.Size) * 8);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(CookieOffset), cookie);
        BinaryPrimitives.WriteInt16LittleEndian(entry.AsSpan(CountOffset), (short)count);
        return entry;
    }
}
