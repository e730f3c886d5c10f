using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Fuzz.Programs;

/// <summary>Base of the random programs: memory beside the packet, a map, and methods to call.</summary>
public abstract partial class RandomProgram : XdpProgram
{
    public readonly Global<RandomMemory> Memory = new();
    public readonly HashMap<RandomPair, long> Table = new(8);

    /// <summary>For the comparison of engines: what the map holds, in order.</summary>
    public IReadOnlyList<(long A, int B, short C, byte D, long Value)> Rows()
    {
        var rows = new List<(long, int, short, byte, long)>();
        Table.ReadAll((k, v) => rows.Add((k.A, k.B, k.C, k.D, v)));
        rows.Sort();
        return rows;
    }

    /// <summary>Inlined; works on the caller's struct.</summary>
    public static int Mix(ref RandomPair pair, int x)
    {
        pair.B += x;
        pair.C ^= (short)x;
        if (pair.D > 7)
        {
            return pair.B;
        }

        pair.D++;
        return pair.C;
    }

    /// <summary>Two helper calls with the struct's address; the map may be full.</summary>
    public long Touch(ref RandomPair key, long value)
    {
        ref var found = ref Table.Find(in key);
        if (Unsafe.IsNullRef(ref found))
        {
            return Table.Update(in key, in value, UpdateMode.Any) == 0 ? value + 1 : -7;
        }

        found ^= value;
        return found;
    }
}

/// <summary>A struct with fields of every width and a byte of padding.</summary>
public struct RandomPair
{
    public long A;
    public int B;
    public short C;
    public byte D;
}

[InlineArray(128)]
public struct RandomMemory
{
    private byte _first;
}
