using Skep.Bpf.Btf;
using Skep.Bpf.Elf;
using Skep.Bpf.Elf.Linking;
using Skep.Bpf.Twin.Captures;

namespace Skep.Fuzz;

/// <summary>A parser of files that may come from anywhere.</summary>
/// <param name="Name">Name on the command line.</param>
/// <param name="Corpus">Good files to begin with.</param>
/// <param name="Read">Reads a file as far as a user of the parser would.</param>
/// <param name="IsRefusal">Whether an exception is the documented one.</param>
internal sealed record FileTarget(string Name, IReadOnlyList<byte[]> Corpus, Action<byte[]> Read, Predicate<Exception> IsRefusal)
{
    private static readonly ObjectOptions s_kernel = new()
    {
        KernelTypes = new KernelTypes(BtfFile.Parse(FileCorpus.KernelTypes()), []),
        KernelConfiguration = new Dictionary<string, string> { ["CONFIG_HZ"] = "250", ["CONFIG_BPF"] = "y" },
        KernelVersion = new Version(6, 1, 0),
        KernelSymbols = name => name == "jiffies" ? 4096 : null,
    };

    /// <summary>All targets.</summary>
    public static IReadOnlyList<FileTarget> All { get; } =
    [
        new("elf", FileCorpus.Objects, ReadObject, e => e is ElfFormatException),
        new("link", FileCorpus.Objects, LinkObjects, e => e is ElfFormatException),
        new("btf", [FileCorpus.KernelTypes(), FileCorpus.ObjectTypes()], ReadTypes, e => e is InvalidDataException),
        new("pcap", FileCorpus.Captures, ReadCapture, e => e is CaptureFormatException),
        new("pcapng", FileCorpus.NewCaptures, ReadCapture, e => e is CaptureFormatException),
    ];

    private static void ReadObject(byte[] file)
    {
        var spec = ObjectSpec.Read(file, s_kernel);
        foreach (var program in spec.Programs)
        {
            _ = program.Spec?.Lines.Count;
        }
    }

    private static void LinkObjects(byte[] file) =>
        ObjectSpec.Read(ObjectLinker.Link([("good", FileCorpus.Objects[0]), ("bad", file)]), s_kernel);

    private static void ReadTypes(byte[] file)
    {
        using var types = BtfFile.Parse(file);
        _ = types.Find("thing", BtfKind.Struct);
        _ = types.Find("", BtfKind.Struct);
        _ = types.FindField("thing", "part.wanted");
        _ = types.Enumerators("choice");
        for (var id = 1u; id < (uint)types.Count; id++)
        {
            var type = types[id];
            if (type.Kind is BtfKind.Struct or BtfKind.Union)
            {
                _ = types.Members(id);
            }

            try
            {
                _ = types.SizeOf(id);
            }
            catch (InvalidDataException)
            {
                // This type is damaged; the next may not be.
            }
        }
    }

    private static void ReadCapture(byte[] file)
    {
        using var reader = CaptureReader.Open(new MemoryStream(file));
        while (reader.TryRead(out _))
        {
        }
    }
}
