/**
 * Writes names-b.csv and names-c.csv: the same names on every machine, drawn from the pools below by a fixed
 * generator. `node make-names.ts [DIR]`
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const POOLS: readonly (readonly [given: string, family: string])[] = [
  [
    'Anna Björn Elin Göran Åsa Sören Ingrid Lærke Øyvind Þóra',
    'Lindström Ångström Sjöberg Østergård Bjørnson Nygård',
  ],
  [
    'Jürgen Käthe Heinz Friederike Jörg Annegret Lukas Mareike',
    'Müller Weiß Schäfer Größmann Köhler Bauer Vogel',
  ],
  ['Chloé François Hélène Jérôme Maëlle Noël Zoé Benoît', "Dupré Lefèvre L'Hôte Géroux Marchand Besançon"],
  ['José María Íñigo Begoña Jesús Ángela Ramón Inés', 'Núñez Muñoz Peña García-López Ibáñez Quiñones'],
  ['João Conceição Inês Tomás Lívia Antônio Luísa', 'Gonçalves Araújo Assunção Simões Falcão Magalhães'],
  ['Łukasz Zofia Michał Świętosława Jędrzej Grażyna Wojciech', 'Wałęsa Żak Dąbrowski Król Wiśniewska Śliwa'],
  ['Jiří Kateřina Tomáš Žofie Ondřej Božena Luboš', 'Dvořák Nováková Šťastný Kříž Procházka Růžička'],
  ['László Zsófia Győző Ágnes Örs Piroska Dezső', 'Szőke Kovács Nagy Horváth Csáky Fehér'],
  ['Ștefan Ioana Mihai Brândușa Răzvan Ileana Țuțu', 'Ionescu Bălan Țepeș Mureșan Cioran Stănescu'],
  ['İbrahim Ayşe Çağlar Gülşen Oğuz Şule Işıl', 'Yılmaz Çelik Öztürk Doğan Şahin Güneş'],
  ['Αλέξανδρος Ελένη Γιώργος Σοφία Ηλίας Κατερίνα', 'Παπαδόπουλος Καραμανλής Οικονόμου Βασιλείου Ξενάκης'],
  ['Алексей Наталья Фёдор Юлия Дмитрий Екатерина Ярослав', 'Иванов Щербакова Соловьёв Кузнецова Чайковский'],
  ['Тарас Їванна Євген Ґалина Оксана Мирослава', 'Шевченко Ґонтар Їжакевич Коваленко Бойко'],
  ['محمد فاطمة يوسف ليلى خالد مريم زينب', 'الحسن المصري القاسم حداد النجار الزهراني'],
  ['דוד מרים יצחק שרה אליהו תמר', 'כהן לוי מזרחי פרידמן ביטון'],
  ['आरव प्रिया विक्रम अनन्या राहुल सुनीता', 'शर्मा पटेल गुप्ता सिंह वर्मा चौधरी'],
  ['அருண் மீனா கார்த்திக் லட்சுமி செல்வன்', 'முருகன் சுப்பிரமணியன் கண்ணன் ராஜன்'],
  ['สมชาย มาลี ณัฐพล กานดา ปรีชา', 'ศรีสุวรรณ ใจดี แสงทอง วงศ์สวัสดิ์'],
  ['Nguyễn Trần Phạm Đặng Lê Võ Huỳnh', 'Thị-Hương Văn-Đức Quốc-Bảo Mỹ-Linh Hữu-Phước'],
  ['王 李 張 刘 陳 杨 赵 黄', '伟 秀英 志明 小龍 雨桐 建國 思远 𠮷夫'],
  ['佐藤 鈴木 高橋 田中 渡邊 伊藤 山本', '太郎 花子 さくら 健一 ユミ 大輔 翔'],
  ['김 이 박 최 정 강 윤', '민준 서연 지훈 하은 도윤 수빈'],
  ['Adébáyọ̀ Ngozi Chukwuemeka Folákẹ́ Thandiwe Sipho Kwame', 'Okonkwo Adéyẹmí Dlamini Mbeki Nkrumah Ọlátúnjí'],
  [
    'Mary John Patricia Robert Siobhán Seán Gwenllian',
    "O'Brien Smith Ní-Dhomhnaill McKay Llŷr Jones Ó-Súilleabháin",
  ],
];
const COMMON = 312;
const ONLY_B = 936;
const ONLY_C = 704;

const folder = process.argv[2] ?? import.meta.dirname;
const all = shuffle(everyName(), 1);
const common = all.slice(0, COMMON);
const onlyB = all.slice(COMMON, COMMON + ONLY_B);
const onlyC = all.slice(COMMON + ONLY_B, COMMON + ONLY_B + ONLY_C);
writeList('names-b.csv', shuffle([...common, ...onlyB], 2));
writeList('names-c.csv', shuffle([...common, ...onlyC], 3));

/** Each pool's pairs, once with a plain and once with a double family name. */
function everyName(): string[] {
  const names = new Set<string>();
  for (const [given, family] of POOLS) {
    for (const first of given.split(' ')) {
      for (const last of family.split(' ')) {
        names.add(`${first} ${last}`);
        names.add(`${first} ${family.split(' ')[0]}-${last}`);
      }
    }
  }
  return [...names];
}

function shuffle(names: readonly string[], seed: number): string[] {
  const shuffled = [...names];
  let state = seed;
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other] as string, shuffled[last] as string];
  }
  return shuffled;
}

function writeList(name: string, names: readonly string[]): void {
  writeFileSync(join(folder, name), `${names.join('\n')}\n`);
}
