using System.Globalization;
using System.Text.RegularExpressions;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;

namespace Skep.Bpf.Elf;

/// <summary>What came of creating a map.</summary>
/// <param name="Map">The map.</param>
/// <param name="Error">Why it could not be created or filled, or null.</param>
public sealed record LoadedObjectMap(UntypedMap Map, Exception? Error);

/// <summary>What came of loading a program.</summary>
/// <param name="Source">The program in the object.</param>
/// <param name="Program">The program in the kernel; null when it failed or was not to be loaded.</param>
/// <param name="Error">Why it could not be loaded, or null.</param>
public sealed record LoadedObjectProgram(ObjectProgram Source, LoadedProgram? Program, Exception? Error);

/// <summary>The maps and programs of an object in the kernel, attached to nothing. It owns them.</summary>
public sealed partial class LoadedObject : IDisposable
{
    private readonly List<LoadedObjectMap> _maps = [];
    private readonly List<LoadedObjectProgram> _programs = [];

    private LoadedObject()
    {
    }

    /// <summary>A result for each map.</summary>
    public IReadOnlyList<LoadedObjectMap> Maps => _maps;

    /// <summary>A result for each program.</summary>
    public IReadOnlyList<LoadedObjectProgram> Programs => _programs;

    /// <summary>Whether every map was created and every program loaded that was to be.</summary>
    public bool Succeeded => _maps.All(m => m.Error is null) && _programs.All(p => p.Error is null);

    /// <summary>
    /// Attaches what was loaded to what the sections name, as libbpf does: tracepoints, functions, iterators, USDT probes, and tables of functions (struct_ops);
    /// what runs on interfaces or in control groups where the options say one. A result for each; disposing of its links detaches.
    /// </summary>
    public IReadOnlyList<ObjectAttachment> Attach(AttachOptions? options = null)
    {
        var attacher = new ObjectAttacher(options ?? new AttachOptions(), UsdtSpecs.Of(_maps.Where(m => m.Error is null).Select(m => m.Map)));
        return [
            .. _programs.Where(p => p.Program is { Type: not ProgramType.StructOps }).Select(p => attacher.Attach(p.Source, p.Program!)),
            .. _maps.Where(m => m is { Error: null, Map.StructOps: not null }).Select(m => AttachTable(m.Map)),
        ];
    }

    private ObjectAttachment AttachTable(UntypedMap map)
    {
        var section = map.CreationFlags.HasFlag(MapFlags.Link) ? ".struct_ops.link" : ".struct_ops";
        var name = map.StructOps!.Type.Types[map.StructOps.Type.Id].Name;
        try
        {
            var programs = map.StructOps.Programs.Select(p => _programs.Find(loaded => loaded.Source.Name == p.Program)?.Program
                ?? throw new InvalidOperationException($"Table '{map.Name}' needs program '{p.Program}', which could not be loaded.")).ToArray();
            return new ObjectAttachment(map.Name, section, name, [LoadedStructOps.Of(map, name, programs).Attach()], null, null);
        }
        catch (Exception e) when (e is BpfException or InvalidOperationException)
        {
            return new ObjectAttachment(map.Name, section, name, [], null, e);
        }
    }

    internal static LoadedObject Load(ObjectSpec spec, LoadOptions options)
    {
        if (spec.Maps.Any(m => m.IsBound))
        {
            throw new InvalidOperationException("This object is loaded already; read it again to load it twice.");
        }

        var result = new LoadedObject();
        try
        {
            using (spec.Types)
            {
                foreach (var map in spec.Maps.Where(m => !m.IsOptional))
                {
                    var problem = spec.MapProblems.GetValueOrDefault(map);
                    result._maps.Add(new LoadedObjectMap(map, problem is null ? Try(() => Create(map, options)) : new NotSupportedException(problem)));
                }

                foreach (var program in spec.Programs)
                {
                    result._programs.Add(result.LoadProgram(program, options with { PinDirectory = null }));
                }

                result.Fill(spec.InitialValues);
            }
        }
        catch
        {
            result.Dispose();
            throw;
        }

        return result;
    }

    /// <summary>Closes programs and maps. What is attached or pinned lives on in the kernel.</summary>
    public void Dispose()
    {
        _programs.ForEach(p => p.Program?.Dispose());
        _maps.ForEach(m => m.Map.Dispose());
    }

    private static void Create(UntypedMap map, LoadOptions options)
    {
        using var binding = new MapBinding(options with { PinMap = m => m is UntypedMap { PinnedByName: true } && (options.PinMap?.Invoke(m) ?? true) });
        binding.Bind(map);
        var storage = (KernelMapStorage)map.Storage;
        if (map.Kind == MapKind.Arena)
        {
            CopyTo(storage, map.InitialValue.Span);
        }
        else if (!map.InitialValue.IsEmpty && !map.IsConstant)
        {
            BpfException.ThrowIfFailed(storage.Write(BitConverter.GetBytes(0), map.InitialValue.Span, 0), $"Filling map '{map.Name}' failed");
        }

        binding.Commit();
    }

    private static unsafe void CopyTo(KernelMapStorage arena, ReadOnlySpan<byte> value)
    {
        // SAFETY: the arena is mapped as a whole, and the value was checked not to be larger.
        value.CopyTo(new Span<byte>(arena.Memory, value.Length));
    }

    private LoadedObjectProgram LoadProgram(ObjectProgram program, LoadOptions options)
    {
        if (!program.LoadsByDefault)
        {
            return new LoadedObjectProgram(program, null, null);
        }

        if (program.Spec is not { } spec)
        {
            return new LoadedObjectProgram(program, null, new NotSupportedException(program.Problem));
        }

        if (spec.Maps.FirstOrDefault(m => !m.IsBound) is { } missing)
        {
            return new LoadedObjectProgram(program, null, new InvalidOperationException($"Its map '{missing.Name}' could not be created."));
        }

        LoadedProgram? loaded = null;
        var error = Try(() => loaded = ProgramLoader.Load(spec, options));
        return new LoadedObjectProgram(program, loaded, error is VerifierException rejection && Lacking(spec, rejection) is { } why ? why : error);
    }

    /// <summary>When the verifier met an instruction that this kernel has nothing for: what that is.</summary>
    private static NotSupportedException? Lacking(ProgramSpec spec, VerifierException rejection)
    {
        foreach (Match match in PoisonedCall().Matches(rejection.Log))
        {
            if (int.TryParse(match.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var slot) && spec.Poison.TryGetValue(slot, out var why))
            {
                return new NotSupportedException($"Program '{spec.Name}' uses what this kernel lacks, and asks nowhere before: {why}", rejection);
            }
        }

        return null;
    }

    [GeneratedRegex(@"^(\d+): \(85\) call unknown#195896080", RegexOptions.Multiline)]
    private static partial Regex PoisonedCall();

    /// <summary>Puts maps into maps of maps and programs into arrays of programs.</summary>
    private void Fill(IReadOnlyList<MapInitialValue> values)
    {
        foreach (var value in values)
        {
            var at = _maps.FindIndex(m => m.Map == value.Target);
            if (at >= 0 && _maps[at].Error is null)
            {
                _maps[at] = _maps[at] with { Error = Try(() => Put(value)) };
            }
        }
    }

    private void Put(MapInitialValue value)
    {
        var handle = value.Map is { IsBound: true } map ? ((KernelMapStorage)map.Storage).Handle
            : _programs.Find(p => value.Program is not null && p.Source.Name == value.Program)?.Program?.Handle
            ?? throw new InvalidOperationException($"It holds '{value.Map?.Name ?? value.Program}' at {value.Index}, which could not be loaded.");
        using var lease = handle.Borrow();
        var status = value.Target.Storage.Write(BitConverter.GetBytes(value.Index), BitConverter.GetBytes(lease.Descriptor), 0);
        BpfException.ThrowIfFailed(status, $"Putting '{value.Map?.Name ?? value.Program}' into map '{value.Target.Name}' at {value.Index} failed");
    }

    /// <summary>What the kernel or the description refuses is a result; anything else is thrown on.</summary>
    private static Exception? Try(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (Exception e) when (e is BpfException or MapMismatchException or NotSupportedException or InvalidOperationException)
        {
            return e;
        }
    }
}
