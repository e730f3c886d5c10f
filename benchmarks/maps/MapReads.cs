using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Skep.Bpf.Maps;

namespace Skep.Benchmarks.Maps;

/// <summary>
/// Reads and writes of maps, each beside the bare system calls into buffers that are there already: the least anybody can do.
/// </summary>
public unsafe partial class MapReads : IDisposable
{
    /// <summary>Entries of each map.</summary>
    public const int Entries = 10_000;

    private const int Batch = 1024;
    private const nint Bpf = 321;
    private const nint LookupElement = 1, NextKey = 4, LookupBatch = 24, UpdateBatch = 26;

    private HashMap<uint, ulong> _map = null!;
    private PerCpuHashMap<uint, ulong> _perCpu = null!;
    private ValueBatches<uint, ulong> _batches = null!;
    private PerCpuBatches<uint, ulong> _perCpuBatches = null!;
    private uint[] _keys = null!;
    private ulong[] _values = null!;
    private uint[] _readKeys = null!;
    private ulong[] _readValues = null!;
    private int _descriptor;
    private int _perCpuDescriptor;

    /// <summary>Fills the maps.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _map = new HashMap<uint, ulong>(Entries, "bench");
        _perCpu = new PerCpuHashMap<uint, ulong>(Entries, "bench_cpu");
        _map.Bind(KernelMapStorage.Create(_map));
        _perCpu.Bind(KernelMapStorage.Create(_perCpu));
        _descriptor = DescriptorOf(_map);
        _perCpuDescriptor = DescriptorOf(_perCpu);
        _keys = [.. Enumerable.Range(0, Entries).Select(i => (uint)i)];
        _values = [.. _keys.Select(k => (ulong)k)];
        _readKeys = new uint[Batch];
        _readValues = new ulong[Batch * _perCpu.Storage.ValuesPerEntry];
        _map.SetAll(_keys, _values);
        foreach (var key in _keys)
        {
            _perCpu.Set(key, key);
        }

        _batches = _map.Batches(Batch);
        _perCpuBatches = _perCpu.Batches(Batch);
    }

    /// <summary>One lookup.</summary>
    [Benchmark]
    public ulong ReadOne() => _map.TryGet(77, out var value) ? value : throw new InvalidOperationException();

    /// <summary>One lookup, bare.</summary>
    [Benchmark]
    public ulong RawReadOne()
    {
        uint key = 77;
        ulong value;
        var attributes = new Element { Map = _descriptor, Key = &key, Value = &value };
        Require(Call(LookupElement, &attributes, sizeof(Element)) == 0);
        return value;
    }

    /// <summary>All entries in batches.</summary>
    [Benchmark]
    public ulong ReadBatches()
    {
        ulong sum = 0;
        _batches.Restart();
        while (_batches.Read())
        {
            foreach (var value in _batches.Values)
            {
                sum += value;
            }
        }

        return Checked(sum);
    }

    /// <summary>All entries in batches, bare.</summary>
    [Benchmark]
    public ulong RawReadBatches() => Checked(RawBatches(_descriptor, 1));

    /// <summary>All entries of a per-CPU map in batches, the values of all CPUs added up.</summary>
    [Benchmark]
    public ulong ReadPerCpu()
    {
        ulong sum = 0;
        _perCpuBatches.Restart();
        while (_perCpuBatches.Read())
        {
            for (var i = 0; i < _perCpuBatches.Count; i++)
            {
                foreach (var value in _perCpuBatches.Values(i))
                {
                    sum += value;
                }
            }
        }

        return Checked(sum / (ulong)_perCpu.Storage.ValuesPerEntry);
    }

    /// <summary>The same, bare.</summary>
    [Benchmark]
    public ulong RawReadPerCpu() => Checked(RawBatches(_perCpuDescriptor, _perCpu.Storage.ValuesPerEntry) / (ulong)_perCpu.Storage.ValuesPerEntry);

    /// <summary>All entries by one batch call.</summary>
    [Benchmark]
    public void WriteBatch() => _map.SetAll(_keys, _values);

    /// <summary>The same, bare.</summary>
    [Benchmark]
    public void RawWriteBatch()
    {
        fixed (uint* keys = _keys)
        fixed (ulong* values = _values)
        {
            var attributes = new BatchOfElements { Keys = keys, Values = values, Count = Entries, Map = _descriptor };
            Require(Call(UpdateBatch, &attributes, sizeof(BatchOfElements)) == 0);
        }
    }

    /// <summary>All entries by key and next key.</summary>
    [Benchmark]
    public ulong WalkKeys()
    {
        ulong sum = 0;
        foreach (var key in _map.Keys)
        {
            sum += _map.TryGet(key, out var value) ? value : 0;
        }

        return Checked(sum);
    }

    /// <summary>The same, bare.</summary>
    [Benchmark]
    public ulong RawWalkKeys()
    {
        uint key = 0, next;
        ulong sum = 0, value;
        var first = new Element { Map = _descriptor, Key = null, Value = &next };
        var status = Call(NextKey, &first, sizeof(Element));
        while (status == 0)
        {
            key = next;
            var lookup = new Element { Map = _descriptor, Key = &key, Value = &value };
            Require(Call(LookupElement, &lookup, sizeof(Element)) == 0);
            sum += value;
            var step = new Element { Map = _descriptor, Key = &key, Value = &next };
            status = Call(NextKey, &step, sizeof(Element));
        }

        return Checked(sum);
    }

    /// <inheritdoc/>
    [GlobalCleanup]
    public void Dispose()
    {
        _batches?.Dispose();
        _perCpuBatches?.Dispose();
        _map?.Dispose();
        _perCpu?.Dispose();
        GC.SuppressFinalize(this);
    }

    private ulong RawBatches(int descriptor, int valuesPerEntry)
    {
        uint from = 0, to = 0;
        ulong sum = 0;
        fixed (uint* keys = _readKeys)
        fixed (ulong* values = _readValues)
        {
            for (var begun = false; ; begun = true)
            {
                var attributes = new BatchOfElements
                {
                    InBatch = begun ? &from : null, OutBatch = &to, Keys = keys, Values = values, Count = Batch, Map = descriptor,
                };
                var status = Call(LookupBatch, &attributes, sizeof(BatchOfElements));
                for (var i = 0; i < attributes.Count * valuesPerEntry; i++)
                {
                    sum += values[i];
                }

                if (status != 0)
                {
                    return sum;
                }

                from = to;
            }
        }
    }

    // The descriptor as /proc lists it: the library keeps its own to itself.
    private static int DescriptorOf(BpfMap map)
    {
        var line = $"map_id:\t{((KernelMapStorage)map.Storage).Id}\n";
        return Directory.EnumerateFiles("/proc/self/fdinfo")
            .Where(file => File.Exists(file) && Text(file).Contains(line, StringComparison.Ordinal))
            .Select(file => int.Parse(Path.GetFileName(file), System.Globalization.CultureInfo.InvariantCulture)).First();
    }

    private static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static ulong Checked(ulong sum)
    {
        Require(sum == (ulong)Entries * (Entries - 1) / 2);
        return sum;
    }

    private static void Require(bool condition)
    {
        if (!condition)
        {
            throw new InvalidOperationException("a map did not give what was put in");
        }
    }

    private static int Call(nint command, void* attributes, int size) => (int)syscall(Bpf, command, (nint)attributes, size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint command, nint attributes, nint size);

    private struct Element
    {
        internal long Map;
        internal void* Key;
        internal void* Value;
        internal ulong Flags;
    }

    private struct BatchOfElements
    {
        internal void* InBatch;
        internal void* OutBatch;
        internal void* Keys;
        internal void* Values;
        internal uint Count;
        internal int Map;
        internal ulong ElementFlags;
        internal ulong Flags;
    }
}
