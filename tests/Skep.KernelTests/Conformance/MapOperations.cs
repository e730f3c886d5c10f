using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.KernelTests.Conformance;

/// <summary>
/// A program that does with maps what packets tell it, so that both engines can be told the same.
/// Layout behind the Ethernet header: map 1, operation 1, mode 1, prefix length 1, key 4, value 8.
/// </summary>
internal sealed unsafe class MapOperations : XdpProgram
{
    public const int CommandSize = 16;
    public const uint Entries = 12;

    private readonly HashMap<uint, ulong> _hash = new(Entries);
    private readonly LruHashMap<uint, ulong> _lru = new(4096);
    private readonly PerCpuHashMap<uint, ulong> _perCpuHash = new(Entries);
    private readonly ArrayMap<ulong> _array = new(Entries);
    private readonly PerCpuArrayMap<ulong> _perCpuArray = new(Entries);
    private readonly LpmTrie<ulong, ulong> _trie = new(Entries);
    private readonly ArrayMap<Outcome> _outcome = new(1);

    /// <summary>What an operation gave. Layout: status 8, value 8.</summary>
    public record struct Outcome(long Status, ulong Value);

    public enum Operation : byte
    {
        Find,
        Add,
        Update,
        Delete,
    }

    public ArrayMap<Outcome> Result => _outcome;

    public override XdpAction Run(ref XdpContext context)
    {
        var command = context.Data + 14;
        if (command + CommandSize > context.DataEnd)
        {
            return XdpAction.Aborted;
        }

        var operation = (Operation)command[1];
        var mode = (UpdateMode)command[2];
        var key = *(uint*)(command + 4);
        var value = *(ulong*)(command + 8);

        // A trie key: prefix length in the lower half of the word, then the address.
        var prefix = command[3] | ((ulong)key << 32);
        Outcome outcome;
        switch (command[0])
        {
            case 0:
                outcome = On(_hash, key, operation, value, mode);
                break;
            case 1:
                outcome = On(_lru, key, operation, value, mode);
                break;
            case 2:
                outcome = On(_perCpuHash, key, operation, value, mode);
                break;
            case 3:
                outcome = On(_array, key, operation, value, mode);
                break;
            case 4:
                outcome = On(_perCpuArray, key, operation, value, mode);
                break;
            default:
                outcome = On(_trie, prefix, operation, value, mode);
                break;
        }

        _outcome.Update(0, in outcome, UpdateMode.Any);
        return XdpAction.Pass;
    }

    private static Outcome On<TKey>(KeyedMap<TKey, ulong> map, TKey key, Operation operation, ulong value, UpdateMode mode)
        where TKey : unmanaged
    {
        var outcome = default(Outcome);
        switch (operation)
        {
            case Operation.Update:
                outcome.Status = map.Update(in key, in value, mode);
                break;
            case Operation.Delete:
                outcome.Status = map.Delete(in key);
                break;
            default:
                ref var found = ref map.Find(in key);
                if (Unsafe.IsNullRef(ref found))
                {
                    outcome.Status = 1;
                    break;
                }

                outcome.Value = found;
                if (operation == Operation.Add)
                {
                    found += value;
                }

                break;
        }

        return outcome;
    }
}
